function(name, replicas=1, unset='default') {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: name },
  data: { replicas: std.toString(replicas + 1), unset: unset },
}
