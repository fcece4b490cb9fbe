import type { Command } from './command.js'

type Commands = Readonly<Record<string, Command>>

/** Shells that `completionOf` knows. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** A script that makes the shell complete commands, options and their values, as the table of commands has them. */
export function completionOf(shell: (typeof SHELLS)[number], commands: Commands): string {
  return { bash, zsh, fish }[shell](commands)
}

function bash(commands: Commands): string {
  const names = Object.keys(commands).join(' ')
  const all = Object.entries(commands)
  const values = all.flatMap(([name, { options }]) =>
    Object.entries(options).flatMap(([option, { value, values, short }]) => {
      if (value === undefined) return []
      const given = [`--${option}`, ...(short === undefined ? [] : [`-${short}`])].map((text) => `'${name} ${text}'`)
      const act = isFile(value) ? 'compopt -o default 2>/dev/null' : `_runcast_words '${(values ?? []).join(' ')}'`
      return [`    ${given.join(' | ')}) ${act}; return ;;`]
    }),
  )
  const words = all.map(([name, { options, values }]) => {
    const given = [...values, ...Object.keys(options).map((option) => `--${option}`), '--help']
    return `    ${name}) _runcast_words '${given.join(' ')}' ;;`
  })
  return `# Completion of runcast in bash: source <(runcast completion bash)
_runcast_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}
_runcast() {
  local IFS=$' \\t\\n' command=\${COMP_WORDS[1]} cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  # --option=value is three words.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if ((COMP_CWORD == 1)); then
    _runcast_words '${names} help --help --version'
    return
  fi
  case "$command $prev" in
${values.join('\n')}
  esac
  case $command in
${words.join('\n')}
    help) _runcast_words '${names}' ;;
  esac
}
complete -F _runcast runcast
`
}

function zsh(commands: Commands): string {
  const all = Object.entries(commands)
  const described = all.map(([name, { about }]) => `    ${quoted(`${name}:${about}`)}`)
  const cases = all.map(([name, { options, operands, optional, values }]) => {
    const given = Object.entries(options).flatMap(([option, { value, values, short, isMany, about }]) => {
      const [many, argument] = [isMany ? '*' : '', value === undefined ? '' : `:${value.slice(1, -1)}:${zshAction(value, values)}`]
      const text = `[${about.replaceAll(/[[\]\\]/g, '\\$&')}]${argument}`
      return [`${many}--${option}${value === undefined ? '' : '='}${text}`, ...(short === undefined ? [] : [`${many}-${short}${text}`])]
    })
    const operand = [...operands, ...optional].map((operand, i) => `${i + 1}:${operand}:${zshAction('', i === 0 ? values : [])}`)
    return `    ${name}) _arguments ${[...given, '--help[its options]', ...operand].map(quoted).join(' ')} ;;`
  })
  return `#compdef runcast
# Completion of runcast in zsh: source <(runcast completion zsh)
_runcast() {
  local -a commands=(
${described.join('\n')}
    'help:lists the options of a command'
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  shift words
  ((CURRENT -= 1))
  case $words[1] in
${cases.join('\n')}
    help) _describe command commands ;;
  esac
}
compdef _runcast runcast
# As a file in fpath it is loaded by the first completion.
if [[ $funcstack[1] == _runcast ]]; then _runcast; fi
`
}

function zshAction(value: string, values: readonly string[] = []): string {
  if (values.length > 0) return `(${values.join(' ')})`
  return isFile(value) ? '_files' : ' '
}

function fish(commands: Commands): string {
  const lines = Object.entries(commands).flatMap(([name, { about, options, values }]) => {
    const after = `complete -c runcast -n '__fish_seen_subcommand_from ${name}'`
    const given = Object.entries(options).map(([option, { value, values, short, about }]) => {
      const letter = short === undefined ? '' : ` -s ${short}`
      const argument = value === undefined ? '' : isFile(value) ? ' -r -F' : ` -x${values ? ` -a ${quoted(values.join(' '))}` : ''}`
      return `${after}${letter} -l ${option}${argument} -d ${quoted(about)}`
    })
    const operand = values.length > 0 ? [`${after} -a ${quoted(values.join(' '))}`] : []
    return [`complete -c runcast -n __fish_use_subcommand -a ${name} -d ${quoted(about)}`, ...given, ...operand]
  })
  const help = `complete -c runcast -n '__fish_seen_subcommand_from help' -a ${quoted(Object.keys(commands).join(' '))}`
  return ['# Completion of runcast in fish: runcast completion fish | source', 'complete -c runcast -f', ...lines, help, ''].join('\n')
}

function isFile(value: string): boolean {
  return value === '<file>'
}

/** A text in single quotes, as all three shells read it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
