{{/* Which of the given values only the argo-cd chart knows, as a JSON list of their paths. */}}
{{- define "ithaca.ignored" -}}
{{- $ignored := list }}
{{- range list "apiVersionOverrides" "applicationSet" "commitServer" "controller" "crds" "createAggregateRoles" "createClusterRoles" "dex" "externalRedis" "kubeVersionOverride" "namespaceOverride" "notifications" "openshift" "redis" "redis-ha" "redisSecretInit" "repoServer" }}
{{- if hasKey $.Values . }}{{ $ignored = append $ignored . }}{{ end }}
{{- end }}
{{- range $key, $_ := omit .Values.server "ingress" "extraArgs" }}
{{- $ignored = append $ignored (printf "server.%s" $key) }}
{{- end }}
{{- range $key, $_ := omit .Values.server.ingress "enabled" "ingressClassName" "hostname" "path" "pathType" "annotations" "labels" "tls" "extraHosts" "extraTls" }}
{{- $ignored = append $ignored (printf "server.ingress.%s" $key) }}
{{- end }}
{{- range $key, $_ := omit .Values.configs "cm" "params" "rbac" "secret" "ssh" "tls" "repositories" "credentialTemplates" "clusterCredentials" }}
{{- $ignored = append $ignored (printf "configs.%s" $key) }}
{{- end }}
{{- range $key, $_ := omit .Values.configs.params "create" "annotations" "server.rootpath" "server.basehref" "server.insecure" "reposerver.parallelism.limit" "otlp.address" "application.namespaces" }}
{{- $ignored = append $ignored (printf "configs.params.%s" $key) }}
{{- end }}
{{- range $key, $_ := omit .Values.global "domain" "nodeSelector" "affinity" "tolerations" "imagePullSecrets" "podAnnotations" "podLabels" }}
{{- $ignored = append $ignored (printf "global.%s" $key) }}
{{- end }}
{{- range .Values.server.extraArgs }}
{{- if and (hasPrefix "-" .) (not (regexMatch "^--(insecure|rootpath|basehref)(=|$)" .)) }}
{{- $ignored = append $ignored (printf "server.extraArgs: %s" .) }}
{{- end }}
{{- end }}
{{- toJson $ignored }}
{{- end }}
