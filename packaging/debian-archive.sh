#!/bin/sh
# debian-archive.sh: prints suite, mirror and keyring of this machine's own Debian archive, as apt sees it.
set -eu
found=$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)|$(SIGNED_BY)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" { print $3, $4, $5; exit }')
[ -n "$found" ] || {
    echo "error: apt knows no Debian archive (apt-get update)" >&2
    exit 1
}
read -r suite mirror signed_by <<F
$found
F
case ${signed_by:-} in
/*) ;;
*) signed_by=/usr/share/keyrings/debian-archive-keyring.gpg ;;
esac
echo "${suite%-updates} $mirror $signed_by"
