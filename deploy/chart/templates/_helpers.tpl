{{/* Names, labels, and what all pods have alike. */}}

{{- define "ithaca.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What the names of all objects begin with; short enough for "-applier" and a pod's own suffix. */}}
{{- define "ithaca.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- $name := include "ithaca.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* What selects a service's pods: (list $ "watcher"). */}}
{{- define "ithaca.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "ithaca.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "ithaca.labels" -}}
{{- $root := index . 0 -}}
{{ include "ithaca.selector" . }}
app.kubernetes.io/part-of: ithaca
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* Argo CD's ConfigMaps and Secrets are found by this label. */}}
{{- define "ithaca.settings-labels" -}}
{{- $root := . -}}
app.kubernetes.io/name: {{ include "ithaca.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/part-of: argocd
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}

{{- define "ithaca.image" -}}
{{- $root := index . 0 -}}
{{- printf "%s:%s" (index . 1) (default $root.Chart.AppVersion $root.Values.image.tag) }}
{{- end }}

{{- define "ithaca.nats-url" -}}
{{- default (printf "nats://%s-nats.%s:4222" (include "ithaca.fullname" .) .Release.Namespace) .Values.nats.url }}
{{- end }}

{{/* A flag of server.extraArgs: (list $ "--rootpath"); empty where it is not given. */}}
{{- define "ithaca.server-flag" -}}
{{- $flag := index . 1 -}}
{{- $arguments := (index . 0).Values.server.extraArgs -}}
{{- range $index, $argument := $arguments }}
{{- if hasPrefix (printf "%s=" $flag) $argument }}
{{- trimPrefix (printf "%s=" $flag) $argument }}
{{- else if and (eq $argument $flag) (lt (add1 $index) (len $arguments)) }}
{{- index $arguments (add1 $index) }}
{{- end }}
{{- end }}
{{- end }}

{{/* The path below which the page is shown, as the argo-cd chart's users say it. */}}
{{- define "ithaca.base-path" -}}
{{- $path := include "ithaca.server-flag" (list . "--rootpath") }}
{{- $path = default (index .Values.configs.params "server.rootpath") $path }}
{{- $path = default (include "ithaca.server-flag" (list . "--basehref")) $path }}
{{- $path = default (index .Values.configs.params "server.basehref") $path }}
{{- if and (not $path) .Values.server.ingress.enabled }}{{ $path = .Values.server.ingress.path }}{{ end }}
{{- with trimAll "/" (toString (default "" $path)) }}/{{ . }}{{ end }}
{{- end }}

{{/* Namespaces beside this one in which Applications may live; empty where there are none. */}}
{{- define "ithaca.application-namespaces" -}}
{{- default "" (index .Values.configs.params "application.namespaces") }}
{{- end }}

{{- define "ithaca.pod-security" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "ithaca.container-security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where pods run, one of a service on each node as far as there are nodes: (list $ "watcher" $settings). */}}
{{- define "ithaca.placement" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 2 -}}
{{- with merge (dict) (default (dict) $settings.nodeSelector) $root.Values.global.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default (list) $settings.tolerations) $root.Values.global.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $root.Values.global.affinity $settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: {{ index . 3 }}
  labelSelector:
    matchLabels:
      {{- include "ithaca.selector" . | nindent 6 }}
{{- with $root.Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $root.Values.priorityClass.create }}
priorityClassName: {{ include "ithaca.fullname" $root }}
{{- end }}
{{- end }}

{{- define "ithaca.pod-metadata" -}}
{{- $root := index . 0 -}}
{{- $settings := index . 2 -}}
labels:
  {{- include "ithaca.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: ithaca
  {{- with $root.Values.global.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) $settings.podAnnotations) $root.Values.global.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
