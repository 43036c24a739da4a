#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What "make install" and "make uninstall" have to do with the running system:
#
#   service.sh refuse-owned FILE...   fail if a package owns one of the files
#   service.sh next [enable]          say how the service is started, or start it
#   service.sh stop                   stop it, and have it not started any more
set -eu

has() { command -v "$1" >/dev/null 2>&1; }

# owner is the package that owns a file and is installed. One that was removed, and
# has left its configuration, is not.
owner() {
	if has dpkg-query && found=$(dpkg-query -S "$1" 2>/dev/null); then
		package=$(printf '%s\n' "$found" | sed '/^diversion /d; s/[,:] .*//; q')
		[ -z "$package" ] || [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ] || echo "$package"
	elif has rpm && found=$(rpm -qf --qf '%{NAME}\n' "$1" 2>/dev/null); then
		echo "$found" | head -n 1
	fi
}

refuse_owned() {
	for file; do
		package=$(owner "$file")
		[ -n "$package" ] || continue
		cat >&2 <<-END
			$file belongs to the package $package, which would write it anew at its next upgrade.
			Remove that package first; without --purge its configuration and state stay, and are gone on with.
		END
		exit 1
	done
}

next() {
	if [ -x /sbin/procd ]; then
		set -- '/etc/init.d/mandos enable' '/etc/init.d/mandos start'
	elif has systemctl; then
		set -- 'systemd-sysusers && systemd-tmpfiles --create' 'systemctl daemon-reload && systemctl reload dbus' 'systemctl enable --now mandos'
	else
		echo 'Add the user _mandos and its group, and start /etc/init.d/mandos; see mandos(8).'
		return
	fi
	if [ "${enable:-}" = enable ]; then
		for command; do
			echo "$command"
			sh -c "$command"
		done
		return
	fi
	echo 'Installed. As root, these start the server now and at each boot ("make install ENABLE=1", or "install.sh enable", does it):'
	printf '  %s\n' "$@"
}

stop() {
	if [ -x /sbin/procd ] && [ -x /etc/init.d/mandos ]; then
		/etc/init.d/mandos stop || true # which may not run
		/etc/init.d/mandos disable || true
	fi
	has systemctl || return 0
	systemctl disable --now mandos.service mandos.socket 2>/dev/null || true # which may never have been enabled
}

action=$1
shift
case $action in
refuse-owned) refuse_owned "$@" ;;
next) enable=${1:-} && next ;;
stop) stop ;;
*)
	echo "unknown: $action" >&2
	exit 2
	;;
esac
