{
  name: 'shop',
  inner: import 'inner/constant.libsonnet',
  deployment(name):: {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: name, labels: { app: $.name } },
  },
}
