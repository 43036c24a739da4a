#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what it came with, where no package does, by the rules of "make install":
# nothing that a package owns is written over, and no configuration.
#
#   install.sh [enable]      install, and start the server now and at each boot
#   install.sh uninstall     remove it again, but for the configuration and the state
set -eu
cd "$(dirname "$0")"

files=$(cd root && find . -type f | sed 's/^\.//' | sort)

# written_over lists the files but for the configuration.
written_over() { printf '%s\n' "$files" | grep -v -e '^/etc/mandos/' -e '^/etc/default/'; }

# source_of is what is installed as a file: where procd is, its init script.
source_of() {
	if [ "$1" = /etc/init.d/mandos ] && [ -x /sbin/procd ]; then
		echo procd/mandos
	else
		echo "root$1"
	fi
}

# shellcheck disable=SC2046 # they are several
./service.sh refuse-owned $(written_over)
case ${1:-} in
'' | enable)
	for file in $files; do
		case $file in
		/etc/mandos/* | /etc/default/*) [ ! -e "$file" ] || continue ;;
		esac
		mkdir -p "${file%/*}"
		# Another file takes its place, so that a program that runs is not written to.
		cp "$(source_of "$file")" "$file.new"
		mv "$file.new" "$file"
	done
	./service.sh next "${1:-}"
	;;
uninstall)
	./service.sh stop
	# shellcheck disable=SC2046 # they are several
	rm -f $(written_over)
	;;
*)
	echo "usage: $0 [enable|uninstall]" >&2
	exit 2
	;;
esac
