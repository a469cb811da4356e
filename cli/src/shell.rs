//! The completion script of each shell: a few lines that call the command itself.

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// A shell that can complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh, with `compinit`.
    Zsh,
    /// fish.
    Fish,
}

impl ValueEnum for Shell {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Bash, Self::Zsh, Self::Fish]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }))
    }
}

impl Shell {
    /// The name that the shell looks for, in a folder for each shell.
    #[must_use]
    pub(crate) fn file(self, command: &str) -> String {
        match self {
            Self::Bash => format!("bash/{command}"),
            Self::Zsh => format!("zsh/_{command}"),
            Self::Fish => format!("fish/{command}.fish"),
        }
    }
}

/// The script for `command`. Each line that the command prints is a word, a tab, and its
/// description; a line without a word leaves it to the shell to complete a file.
#[must_use]
pub fn script(shell: Shell, command: &str) -> String {
    let template = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    template.replace("@COMMAND@", command)
}

const BASH: &str = r#"# bash completion of @COMMAND@; to be sourced, or a file @COMMAND@ in
# ~/.local/share/bash-completion/completions
_@COMMAND@_complete() {
    local line words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            $'\t'*) compopt -o default ;;
            *) COMPREPLY+=("${line%%$'\t'*}") ;;
        esac
    done < <(@COMMAND@ __complete -- "${words[@]}" 2>/dev/null)
    return 0
}
complete -F _@COMMAND@_complete @COMMAND@
"#;

const ZSH: &str = r#"#compdef @COMMAND@
# zsh completion of @COMMAND@; to be sourced after compinit, or a file _@COMMAND@ in a folder of $fpath
_@COMMAND@() {
    local line files=
    local -a found
    while IFS= read -r line; do
        case $line in
            $'\t'*) files=1 ;;
            *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done < <(@COMMAND@ __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe -t commands @COMMAND@ found
    [ -n "$files" ] && _files
}
if [ "$funcstack[1]" = "_@COMMAND@" ]; then _@COMMAND@ "$@"; else compdef _@COMMAND@ @COMMAND@; fi
"#;

const FISH: &str = r#"# fish completion of @COMMAND@; a file @COMMAND@.fish in ~/.config/fish/completions
function __@COMMAND@_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (@COMMAND@ __complete -- $words[2..-1] 2>/dev/null)
        if string match -q \t'*' -- $line
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c @COMMAND@ -f -a '(__@COMMAND@_complete)'
"#;
