{{/* The configuration of the NATS servers. */}}

{{- define "ithaca.nats-config" }}
{{- $name := printf "%s-nats" (include "ithaca.fullname" .) -}}
server_name: $POD_NAME
listen: 0.0.0.0:4222
http: 0.0.0.0:8222
jetstream {
  store_dir: /data
}
{{- if .Values.nats.tokenSecret }}
authorization {
  token: $TOKEN
}
{{- end }}
lame_duck_grace_period: 5s
lame_duck_duration: 30s
{{- if gt (int .Values.nats.replicas) 1 }}
cluster {
  name: {{ $name }}
  listen: 0.0.0.0:6222
  connect_retries: 60
  routes: [
    {{- range until (int .Values.nats.replicas) }}
    nats-route://{{ $name }}-{{ . }}.{{ $name }}-peers.{{ $.Release.Namespace }}:6222
    {{- end }}
  ]
}
{{- end }}
{{- end }}
