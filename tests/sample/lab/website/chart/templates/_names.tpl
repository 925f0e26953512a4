{{- define "website.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
{{ include "website.selector" . }}
{{- end }}

{{- define "website.selector" -}}
app.kubernetes.io/component: {{ .Release.Name }}
{{- end }}
