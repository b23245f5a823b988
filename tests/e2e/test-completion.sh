#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What bash makes of a command line of bttctl that is not finished yet.

time_limit=100
. "$(dirname "$0")/functions.sh"
requires programs
unset POSIXLY_CORRECT

# As it is installed, found by its name and sourced by a shell.
PATH=$BTTFS_BIN:$PATH
# shellcheck source=daemon/bttctl.bash
. "$top/daemon/bttctl.bash"

# complete_line WORD...: the last one is being typed.  COMPREPLY has what bash
# would offer, as bash itself calls it.
complete_line() {
	local function
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	function=$(complete -p bttctl | sed 's/.* -F \([^ ]*\) .*/\1/')
	COMPREPLY=()
	"$function" "$1" "${COMP_WORDS[COMP_CWORD]}" \
	    "${COMP_WORDS[COMP_CWORD - 1]}"
}

# offers WANTED WORD...: exactly these, in any order.
offers() {
	local wanted=$1
	shift
	complete_line "$@"
	same "$*" "$(tr ' ' '\n' <<<"$wanted" | sort)" \
	    "$(printf '%s\n' "${COMPREPLY[@]}" | sort)"
}

mapfile -t commands < <("$bttctl" --list-cmds)
check 'no commands' test "${#commands[@]}" -ge 5
offers "${commands[*]}" bttctl ''
offers 'create' bttctl cre
offers "$(printf '%s\n' "${commands[@]}" | grep '^c' | xargs)" bttctl c
offers '' bttctl nosuch
offers "${commands[*]}" bttctl help ''
offers 'check' bttctl help ch
offers '' bttctl nosuch --

# Every option of every command, as the parser knows it.
for command in "${commands[@]}"; do
	case $command in
	help | version) continue ;;
	esac
	offers "$("$bttctl" --list-opts "$command" | tr '\n' ' ' |
	    sed 's/ $//')" bttctl "$command" --
	"$bttctl" "$command" --help >"$work/help"
	while read -r option; do
		complete_line bttctl "$command" "${option:0:4}"
		check "$command $option is not offered" \
		    grep -qx -- "$option" <(printf '%s\n' "${COMPREPLY[@]}")
		check "$command $option is not in its help" \
		    grep -qE -- "$option( |\$)" "$work/help"
	done < <("$bttctl" --list-opts "$command")
done

offers '1.1 2.0 pool' bttctl create --layout ''
offers '2.0' bttctl create --layout 2
offers '1.1 2.0 pool' bttctl create --layout =
offers '2.0' bttctl create --layout = 2
offers '' bttctl create --size ''
offers '' bttctl create -s 1
offers '' bttctl create --size = ''

# Files: operands, after switches too, with spaces and all.
mkdir "$work/files"
cd "$work/files" || exit 1
touch 'disk one' disk2 other
complete_line bttctl info ''
same 'number of files' 3 "${#COMPREPLY[@]}"
complete_line bttctl info d
same 'with a space' 'disk one|disk2' "$(printf '%s\n' "${COMPREPLY[@]}" |
    sort | paste -sd'|')"
offers 'disk2' bttctl check --json disk2
offers 'disk2' bttctl check -- disk2
offers 'disk2' bttctl create --size 1M disk2

# A program that fails, or is not there, offers nothing and says nothing.
complete_line /nowhere/bttctl '' 2>"$work/err"
same 'offers without a program' 0 "${#COMPREPLY[@]}"
check 'it complains' test ! -s "$work/err"
finish
