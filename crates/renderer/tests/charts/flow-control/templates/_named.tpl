{{/* A name that may be replaced. */}}
{{- define "named" -}}named-{{ . }}{{- end -}}
