#!/bin/sh
# Makes the sample repository unless it is there, then serves all repositories.
#
# GIT_REPOSITORIES  the folder that holds them
# GIT_SAMPLE        what the sample repository begins with
# GIT_URL           the address of this server as Ithaca knows it
# GIT_PORT          where to listen
# WEBHOOK_URL, WEBHOOK_SECRET  where pushes are told, and what they are signed with
set -eu

here=$(cd "$(dirname "$0")" && pwd)
sample=$GIT_REPOSITORIES/sample.git

if [ ! -e "$sample/HEAD" ]; then
  # Made beside its place: one that was interrupted is made anew.
  rm -rf "$sample.unfinished" "$sample.first"
  git init --quiet --bare --initial-branch=main "$sample.unfinished"
  # There are no accounts.
  git -C "$sample.unfinished" config http.receivepack true
  # Commits by id, however they are reached: as the large hosts allow.
  git -C "$sample.unfinished" config uploadpack.allowAnySHA1InWant true

  cp -R "$GIT_SAMPLE" "$sample.first"
  find "$sample.first" -name '*.yaml' -exec sed -i -f "$here/sample.sed" \
    -e "s|https://git.example.com/home/sample.git|$GIT_URL/sample.git|" {} +
  git -C "$sample.first" init --quiet --initial-branch=main
  git -C "$sample.first" add --all
  git -C "$sample.first" -c user.name=Ithaca -c user.email=ithaca@localhost commit --quiet --message='Start at home'
  git -C "$sample.first" push --quiet "$sample.unfinished" main
  # From now on somebody may be waiting.
  git -C "$sample.unfinished" config core.hooksPath "$here/hooks"
  rm -rf "$sample.first"
  mv "$sample.unfinished" "$sample"
fi

exec lighttpd -D -f "$here/lighttpd.conf"
