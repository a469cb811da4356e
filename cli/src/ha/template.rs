//! Templates of Home Assistant (Jinja), as text. Pure.

use super::device::{Field, Helper, Script};
use super::literal::quoted;

/// What a field of a script is if whoever runs it does not say: what stands in the helper.
pub(super) fn given(field: &Field<'_>) -> String {
    let name = &field.argument.name;
    format!("{{{{ {name} | default(states({})) }}}}", quoted(&field.entity_id()))
}

/// A request with an id of its own, its time, and the arguments.
pub(super) fn request(script: &Script<'_>) -> String {
    let mut lines = vec![
        "{% set at = now().timestamp() %}".to_owned(),
        "{% set request = {'id': 'ha-' ~ at, 'ts': at, 'ttl_s': 10} %}".to_owned(),
    ];
    lines.extend(script.fields.iter().map(argument));
    lines.push("{{ request | to_json }}".to_owned());
    lines.join("\n")
}

fn argument(field: &Field<'_>) -> String {
    let name = &field.argument.name;
    let put = |value: &str| format!("{{% set request = dict(request, **{{{}: {value}}}) %}}", quoted(name));
    match field.helper {
        Helper::Flag => put(&format!("{name} | bool")),
        // What is no number is an error here: nothing is sent.
        Helper::Number { .. } => put(&format!("{name} | float")),
        Helper::Choice(_) => put(&format!("{name} | string")),
        // A number was made of one already; what is none goes out as it is, and is refused.
        Helper::Text => {
            format!("{{% if {name} not in ['', 'unknown', 'unavailable', none] %}}{}{{% endif %}}", put(name))
        }
    }
}

/// What is bad of an expression that is a state, or none.
fn alarms(state: &str) -> String {
    format!(
        "(({state}.attributes.get('attention') or []) if {state} else []) | selectattr('severity', 'eq', 'error')"
    )
}

/// The texts of what is bad and was not before, where the state of one of `entities` triggers an
/// automation; of all that is bad, where something else does.
pub(super) fn new_alarms(entities: &[String]) -> String {
    let names: Vec<String> = entities.iter().map(|entity| quoted(entity)).collect();
    [
        "{% if trigger.platform == 'state' %}".to_owned(),
        format!("{{% set known = {} | map(attribute='name') | list %}}", alarms("trigger.from_state")),
        format!(
            "{{{{ {} | rejectattr('name', 'in', known) | map(attribute='text') | list }}}}",
            alarms("trigger.to_state")
        ),
        "{% else %}".to_owned(),
        "{% set all = namespace(texts=[]) %}".to_owned(),
        format!("{{% for entity in expand({}) %}}", names.join(", ")),
        format!("{{% set all.texts = all.texts + ({} | map(attribute='text') | list) %}}", alarms("entity")),
        "{% endfor %}".to_owned(),
        "{{ all.texts }}".to_owned(),
        "{% endif %}".to_owned(),
    ]
    .join("\n")
}
