# Completion of backupd for bash.
_backupd() {
  local current=${COMP_WORDS[COMP_CWORD]}
  case ${COMP_WORDS[COMP_CWORD - 1]} in
    --root) mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
    --socket) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    --log-level) mapfile -t COMPREPLY < <(compgen -W 'error warning info debug' -- "$current") ;;
    --idle) COMPREPLY=() ;;
    *)
      mapfile -t COMPREPLY < <(compgen -W \
        '--root --socket --idle --log-level --embedded --recover --explain' -- "$current")
      ;;
  esac
}
complete -F _backupd backupd
