{{- define "include-and-tpl.name" -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- define "include-and-tpl.labels" -}}
name: {{ include "include-and-tpl.name" . }}
{{ with .extra }}{{ toYaml . }}{{ end }}
{{- end }}
{{- define "include-and-tpl.recursive" -}}
{{- if gt (int .) 0 }}{{ . }}{{ include "include-and-tpl.recursive" (sub . 1) }}{{ end }}
{{- end }}
