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

/// The script for `command`. Each line that the command prints is a word, a tab, and its
/// description.
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
        COMPREPLY+=("${line%%$'\t'*}")
    done < <(@COMMAND@ __complete -- "${words[@]}" 2>/dev/null)
    # A site: its devices follow.
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    return 0
}
complete -F _@COMMAND@_complete @COMMAND@
"#;

const ZSH: &str = r#"#compdef @COMMAND@
# zsh completion of @COMMAND@; to be sourced after compinit, or a file _@COMMAND@ in a folder of $fpath
_@COMMAND@() {
    local line
    local -a found
    while IFS= read -r line; do
        found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done < <(@COMMAND@ __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe -t commands @COMMAND@ found
}
if [ "$funcstack[1]" = "_@COMMAND@" ]; then _@COMMAND@ "$@"; else compdef _@COMMAND@ @COMMAND@; fi
"#;

const FISH: &str = r#"# fish completion of @COMMAND@; a file @COMMAND@.fish in ~/.config/fish/completions
function __@COMMAND@_complete
    set -l words (commandline -opc) (commandline -ct)
    @COMMAND@ __complete -- $words[2..-1] 2>/dev/null
end
complete -c @COMMAND@ -f -a '(__@COMMAND@_complete)'
"#;
