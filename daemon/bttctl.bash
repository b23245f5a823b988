# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
#
# Completion of bttctl's command line for bash.  Nothing is listed here: the
# program tells from the tables of its parser what may stand where.

# Words of its own that the program prints for what only others can list.
_bttctl_expand() {
	local program=$1 current=$2 word
	local -a words=()
	while IFS= read -r word; do
		case $word in
		'<file>')
			compopt -o filenames 2>/dev/null
			while IFS= read -r word; do
				words+=("$word")
			done < <(compgen -f -- "$current") ;;
		'<device>')
			while IFS= read -r word; do
				words+=("$word")
			done < <(compgen -W "$(_bttctl_devices "$program")" \
			    -- "$current") ;;
		'<'*) ;; # a value that nobody can list
		"$current"*)
			words+=("$word") ;;
		esac
	done
	COMPREPLY=("${words[@]}")
}

# Names of the devices that a daemon serves.  The answer waits for no device,
# and there is none where no daemon runs.
_bttctl_devices() {
	"$1" list --names 2>/dev/null
}

# The command, and the option whose value is due, if one is.  An equals sign
# is a word of its own to bash.
_bttctl() {
	local program=$1 current=$2 previous=$3
	local command='' option='' values i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-*) ;;
		*) command=${COMP_WORDS[i]}; break ;;
		esac
	done
	if [ "$current" = = ]; then
		option=$previous current=''
	elif [ "$previous" = = ]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $previous == -* ]]; then
		option=$previous
	fi
	if [ -z "$command" ] || { [ "$command" = help ] &&
	    [ "$COMP_CWORD" -gt "$i" ]; }; then
		_bttctl_expand "$program" "$current" \
		    < <("$program" --list-cmds 2>/dev/null)
		return
	fi
	if [ -n "$option" ]; then
		values=$("$program" --list-values "$command" "$option" \
		    2>/dev/null)
		# An option without a value is followed by other words.
		if [ -n "$values" ]; then
			_bttctl_expand "$program" "$current" <<<"$values"
			return
		fi
	fi
	if [[ $current == -* ]]; then
		_bttctl_expand "$program" "$current" \
		    < <("$program" --list-opts "$command" 2>/dev/null)
	else
		_bttctl_expand "$program" "$current" \
		    < <("$program" --list-values "$command" 2>/dev/null)
	fi
}

complete -F _bttctl bttctl
