{{- define "shared.config" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-{{ .Chart.Name }}
data:
  team: {{ .Values.team }}
  from: library
{{- end }}
{{- define "shared.merged" -}}
{{- $top := first . }}
{{- $base := fromYaml (include "shared.config" $top) }}
{{- $own := fromYaml (include (index . 1) $top) }}
{{- toYaml (mergeOverwrite $base $own) }}
{{- end }}
