#!/bin/sh
# Hands the cluster to Ithaca: a kubeconfig with an address that other containers reach, and the root Application.
#
# Usage: bootstrap.sh KUBECONFIG_FOLDER ROOT_APPLICATION REPOSITORY
# In the folder K3s has left `k3s.yaml`; `config` is written beside it. It may run at every start.
set -eu

folder=$1
root=$2
repository=$3

# Written whole: who is started by its being there finds all of it.
sed 's|https://127.0.0.1:6443|https://k3s:6443|' "$folder/k3s.yaml" >"$folder/config.tmp"
chmod 644 "$folder/config.tmp"
mv "$folder/config.tmp" "$folder/config"
export KUBECONFIG="$folder/config"

# K3s applies its manifests a while after it is ready.
kubectl wait --for=create --timeout=120s namespace/argocd crd/applications.argoproj.io crd/appprojects.argoproj.io
kubectl wait --for=condition=Established --timeout=60s crd/applications.argoproj.io crd/appprojects.argoproj.io

# Only the first time: from then on it manages itself from Git.
if ! kubectl --namespace argocd get application root >/dev/null 2>&1; then
  sed "s|https://git.example.com/home/sample.git|$repository|" "$root" | kubectl create --filename -
fi
