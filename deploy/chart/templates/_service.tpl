{{/* What the Deployments of all five services have alike. Each is called with (dict "root" $ "name" "watcher" …). */}}

{{/*
A service's Deployment. Keys: root, name, and where they are needed image, env, ports, mounts, volumes, beside (more containers).
A new pod must be ready before an old one goes: a release that never becomes ready leaves the old one at work.
*/}}
{{- define "ithaca.deployment" -}}
{{- $root := .root }}
{{- $settings := index $root.Values .name }}
{{- $id := list $root .name $settings "ScheduleAnyway" }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "ithaca.fullname" $root }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "ithaca.labels" $id | nindent 4 }}
spec:
  replicas: {{ $settings.replicas }}
  revisionHistoryLimit: 3
  progressDeadlineSeconds: {{ $root.Values.progressDeadlineSeconds }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "ithaca.selector" $id | nindent 6 }}
  template:
    metadata:
      {{- include "ithaca.pod-metadata" $id | nindent 6 }}
    spec:
      serviceAccountName: {{ include "ithaca.fullname" $root }}-{{ .name }}
      automountServiceAccountToken: {{ ne .name "renderer" }}
      enableServiceLinks: false
      # A rendering that runs may end; what was applied is told.
      terminationGracePeriodSeconds: 60
      securityContext:
        {{- include "ithaca.pod-security" $root | nindent 8 }}
      {{- include "ithaca.placement" $id | nindent 6 }}
      containers:
      - name: {{ .name }}
        image: {{ include "ithaca.image" (list $root (default $root.Values.image.repository .image)) | quote }}
        imagePullPolicy: {{ $root.Values.image.pullPolicy }}
        args: [{{ .name }}]
        env:
        {{- include "ithaca.env" . | nindent 8 }}
        {{- with .envFrom }}
        envFrom:
        {{- toYaml . | nindent 8 }}
        {{- end }}
        ports:
        - {name: http, containerPort: 8080}
        {{- range .ports }}
        - {{ toYaml . | nindent 10 | trim }}
        {{- end }}
        startupProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 1
          failureThreshold: 60
        readinessProbe:
          httpGet: {path: /readyz, port: http}
          periodSeconds: 5
        livenessProbe:
          httpGet: {path: /healthz, port: http}
          periodSeconds: 20
          timeoutSeconds: 5
        securityContext:
          {{- include "ithaca.container-security" $root | nindent 10 }}
        resources:
          {{- toYaml $settings.resources | nindent 10 }}
        {{- with concat (default (list) .mounts) (include "ithaca.bus-mounts" $root | fromYamlArray) }}
        volumeMounts:
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .beside }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
      {{- with concat (default (list) .volumes) (include "ithaca.bus-volumes" $root | fromYamlArray) }}
      volumes:
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}

{{/* Environment of a service: what all have, its own, and what the user adds. */}}
{{- define "ithaca.env" -}}
{{- $root := .root -}}
- name: ITHACA_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- {name: ITHACA_NATS_URL, value: {{ include "ithaca.nats-url" $root | quote }}}
- {name: ITHACA_NATS_REPLICAS, value: {{ ternary 1 $root.Values.nats.replicas (ne $root.Values.nats.url "") | quote }}}
{{- if $root.Values.nats.credentialsSecret }}
- {name: ITHACA_NATS_CREDENTIALS, value: /etc/ithaca/nats/nats.creds}
{{- end }}
{{- with $root.Values.nats.tokenSecret }}
- name: ITHACA_NATS_TOKEN
  valueFrom: {secretKeyRef: {name: {{ . }}, key: token}}
{{- end }}
{{- $namespaces := include "ithaca.application-namespaces" $root }}
{{- if and $namespaces (has .name (list "watcher" "applier" "console")) }}
- {name: ITHACA_APPLICATION_NAMESPACES, value: {{ $namespaces | quote }}}
{{- end }}
- {name: ITHACA_LOG_FORMAT, value: {{ $root.Values.logFormat }}}
- {name: ITHACA_LOG, value: {{ $root.Values.log | quote }}}
{{- with default (index $root.Values.configs.params "otlp.address") $root.Values.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ ternary . (printf "http://%s" .) (contains "://" .) | quote }}}
{{- end }}
{{- with .env }}
{{ toYaml . }}
{{- end }}
{{- with (index $root.Values .name).env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ithaca.bus-mounts" -}}
{{- if .Values.nats.credentialsSecret -}}
- {name: nats, mountPath: /etc/ithaca/nats, readOnly: true}
{{- else -}}
[]
{{- end }}
{{- end }}

{{- define "ithaca.bus-volumes" -}}
{{- with .Values.nats.credentialsSecret -}}
- name: nats
  secret: {secretName: {{ . }}}
{{- else -}}
[]
{{- end }}
{{- end }}

{{/* The Secret of the key that renderers seal bundles with, and appliers open them. No chart makes it: it would be another one each time. */}}
{{- define "ithaca.bundle-key" -}}
{{ include "ithaca.fullname" . }}-bundle-key
{{- end }}

{{/* A service's Service: its metrics, and the ports that others use. */}}
{{- define "ithaca.service" -}}
{{- $root := .root }}
{{- $id := list $root .name }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "ithaca.fullname" $root }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "ithaca.labels" $id | nindent 4 }}
spec:
  selector:
    {{- include "ithaca.selector" $id | nindent 4 }}
  ports:
  - {name: http, port: 8080, targetPort: http}
  {{- range .ports }}
  - {{ toYaml . | nindent 4 | trim }}
  {{- end }}
{{- end }}

{{/* Keeps one pod of a service with several at work while nodes are drained. */}}
{{- define "ithaca.disruption-budget" -}}
{{- $root := .root }}
{{- $id := list $root .name }}
{{- if and $root.Values.podDisruptionBudget.enabled (gt (int (index $root.Values .name).replicas) 1) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "ithaca.fullname" $root }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "ithaca.labels" $id | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "ithaca.selector" $id | nindent 6 }}
{{- end }}
{{- end }}

{{/*
A ServiceAccount with a Role in this namespace, by the "rules" of the dict, and a ClusterRole, by its "clusterRules".
"elsewhere" is what is needed besides where Applications may live in other namespaces.
*/}}
{{- define "ithaca.rights" -}}
{{- $root := .root }}
{{- $name := printf "%s-%s" (include "ithaca.fullname" $root) .name }}
{{- $labels := include "ithaca.labels" (list $root .name) }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
automountServiceAccountToken: false
{{- with .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
rules:
{{- toYaml . | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
- {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
{{- $elsewhere := ternary .elsewhere list (ne (include "ithaca.application-namespaces" $root) "") }}
{{- with concat (default list .clusterRules) (default list $elsewhere) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
rules:
{{- toYaml . | nindent 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
- {kind: ServiceAccount, name: {{ $name }}, namespace: {{ $root.Release.Namespace }}}
{{- end }}
{{- end }}
