#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds packages, or archives of what they have in them, into the directory OUT. The
# same commit gives the same bytes, wherever and whenever it is built.
# Usage: build.sh OUT VERSION deb|rpm|apk|tar...
set -eu
cd "$(dirname "$0")/../.."

nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
name=mandos-go
rm -rf "$1"
out=$(mkdir -p "$1" && cd "$1" && pwd)
stage=$out/stage
export VERSION="$2"
shift 2
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
export MAINTAINER="${MAINTAINER:-$(git log -1 --format='%an <%ae>')}"
export GOFLAGS="-buildvcs=false ${GOFLAGS:-}" LC_ALL=C
umask 022

# programs builds them for an architecture, as Go names it.
programs() {
	make --no-print-directory build BUILD="$stage/programs" GOARCH="$1"
	go run ./etc/package/linked copyright $name "$VERSION" "$stage/programs/mandos" "$stage/programs/mandosctl" >"$stage/programs/copyright"
}

# changelog is what Debian wants beside our own.
changelog() {
	cat <<-END
		$name ($VERSION-1) stable; urgency=medium

		  * What is new is in changelog.gz.

		 -- $MAINTAINER  $(date --utc --rfc-email --date="@$SOURCE_DATE_EPOCH")
	END
}

fill() {
	make --no-print-directory install DESTDIR="$stage/root" BUILD="$stage/host"
	find "$stage/root/usr/share/man" -type f -exec gzip -9n {} +
	cp -R etc/package/deb etc/package/rpm etc/package/apk etc/openrc etc/procd etc/package/tar/install.sh etc/install/service.sh LICENSE "$stage"
	chmod -R u=rwX,go=rX "$stage"/deb "$stage"/rpm "$stage"/apk "$stage"/*.sh "$stage"/LICENSE
	sed 's/^\(# Provides: *\)mandos$/\1'$name/ etc/init.d/mandos >"$stage/$name"
	chmod 755 "$stage"/openrc/* "$stage"/procd/* "$stage/$name"
	gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
	changelog | gzip -9n >"$stage/changelog.Debian.gz"
}

# package makes a package; its file has the name that those of the format have.
package() {
	(cd "$stage" && go run $nfpm package --config "$OLDPWD/etc/package/nfpm.yaml" --packager "$1" --target "$out/")
}

# archive has the files as they are installed, and a script that installs them.
archive() {
	dir=$name-$VERSION-$1
	mkdir "$stage/$dir"
	cp -Rp "$stage/root" "$stage/procd" "$stage/install.sh" "$stage/service.sh" "$stage/$dir"
	cp -p "$stage/programs/mandos" "$stage/$dir/root/usr/sbin"
	cp -p "$stage/programs/mandosctl" "$stage/$dir/root/usr/bin"
	cp -p "$stage/programs/copyright" "$stage/LICENSE" "$stage/$dir/root/usr/share/doc/mandos"
	tar --create --directory "$stage" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" "$dir" | gzip -9n >"$out/$dir.tar.gz"
}

mkdir "$stage"
fill
for arch in ${ARCHITECTURES:-amd64 arm64 armhf}; do # as Debian names them, and others as Go does
	case $arch in
	armhf) export GOARM=7 ARCH=arm7 && programs arm ;;
	*) export ARCH="$arch" && programs "$arch" ;;
	esac
	find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
	for format; do
		case $format in
		tar) archive "$arch" ;;
		*) package "$format" ;;
		esac
	done
	go run ./etc/package/linked sbom $name "$VERSION" "$stage/programs/mandos" "$stage/programs/mandosctl" >"$out/$name-$VERSION-$arch.cdx.json"
done
rm -rf "$stage"
cd "$out"
sha256sum -- "$name"* >SHA256SUMS
