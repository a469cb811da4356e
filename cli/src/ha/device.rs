//! What there is of a device in Home Assistant: its entities, and what needs a script. Pure.

use bus::device::Class;
use bus::homeassistant::{Component, Entity, HomeAssistant, Source, entities, slug};
use bus::message::{ArgumentMeta, ArgumentType, Meta, VerbMeta};
use bus::topic::Base;

use super::literal::quoted;
use crate::instrument::unit;
use crate::text::capitalised;

/// Of a number that names no limit.
const FAR: f64 = 1_000_000.0;

/// A device, as Home Assistant has it.
#[derive(Clone, Debug)]
pub struct Device {
    pub(super) base: Base,
    pub(super) meta: Meta,
    pub(super) settings: HomeAssistant,
    entities: Vec<Entity>,
}

/// A command that is no entity, or one that must be asked about first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Script<'a> {
    /// Its name in Home Assistant.
    pub(super) name: String,
    pub(super) verb: &'a VerbMeta,
    pub(super) fields: Vec<Field<'a>>,
}

/// An argument, and what people give it with on a dashboard.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) argument: &'a ArgumentMeta,
    pub(super) helper: Helper,
    /// The helper's name in Home Assistant, without its kind.
    pub(super) name: String,
}

/// A helper of Home Assistant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Helper {
    Flag,
    Choice(Vec<String>),
    Number {
        minimum: f64,
        maximum: f64,
        step: f64,
    },
    /// Empty if it is left out.
    Text,
}

impl Helper {
    fn of(argument: &ArgumentMeta) -> Self {
        let words = || {
            let offered = argument.choice_labels.keys().cloned().collect::<Vec<_>>();
            let all = argument.choices.clone().unwrap_or_default();
            // In the order of the description.
            let words: Vec<_> = all.iter().filter(|word| offered.contains(word)).cloned().collect();
            if words.is_empty() { all } else { words }
        };
        match argument.kind {
            Some(ArgumentType::Flag) => Self::Flag,
            // It must be possible to leave it out.
            _ if argument.optional => Self::Text,
            Some(ArgumentType::Number) => {
                let (minimum, maximum) = (argument.minimum.unwrap_or(-FAR), argument.maximum.unwrap_or(FAR));
                // A helper with nothing to choose between is refused.
                if minimum >= maximum {
                    return Self::Text;
                }
                Self::Number { minimum, maximum, step: argument.step.unwrap_or(0.001).max(0.001) }
            }
            _ => match words() {
                words if words.is_empty() => Self::Text,
                words => Self::Choice(words),
            },
        }
    }

    /// Home Assistant's word for its kind.
    pub(super) fn domain(&self) -> &'static str {
        match self {
            Self::Flag => "input_boolean",
            Self::Choice(_) => "input_select",
            Self::Number { .. } => "input_number",
            Self::Text => "input_text",
        }
    }
}

impl Field<'_> {
    pub(super) fn entity_id(&self) -> String {
        format!("{}.{}", self.helper.domain(), self.name)
    }

    /// As Home Assistant writes it.
    pub(super) fn unit(&self) -> Option<String> {
        Some(unit(self.argument.unit.as_deref()).trim().to_owned()).filter(|unit| !unit.is_empty())
    }

    /// For people, with what it may be where the helper does not show it.
    pub(super) fn label(&self) -> String {
        let label = named(&self.argument.label, &self.argument.name);
        match self.helper {
            Helper::Text => format!("{label}{}", crate::usage::range(self.argument)),
            _ => label,
        }
    }
}

impl Script<'_> {
    pub(super) fn label(&self) -> String {
        named(&self.verb.label, &self.verb.name)
    }
}

/// What people call it; where nobody has said that, what programs call it.
fn named(label: &str, name: &str) -> String {
    capitalised(&if label.is_empty() { name.replace('_', " ") } else { label.to_owned() })
}

impl Device {
    /// The device on `base` that calls itself `meta`.
    #[must_use]
    pub fn new(base: Base, meta: Meta, settings: &HomeAssistant) -> Self {
        let mut entities = entities(&meta, &base, settings);
        // What is there only if somebody switches it on is not on a dashboard.
        entities.retain(|entity| entity.config.get("enabled_by_default") != Some(&false.into()));
        Self { base, meta, settings: settings.clone(), entities }
    }

    /// What all its names begin with in Home Assistant.
    pub(super) fn prefix(&self) -> String {
        slug(&self.base.node())
    }

    pub(super) fn label(&self) -> String {
        capitalised(&self.meta.label)
    }

    fn find(&self, is_it: impl Fn(&Entity) -> bool) -> Option<String> {
        self.entities.iter().find(|entity| is_it(entity)).map(|entity| entity.entity_id.clone())
    }

    /// One of what every device has.
    pub(super) fn common(&self, component: Component, name: &'static str) -> Option<String> {
        self.find(|entity| entity.component == component && entity.source == Source::Common(name))
    }

    /// What shows a key of the state.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        self.find(|entity| entity.source == Source::Property(key.to_owned()))
    }

    /// What sends a verb.
    pub(super) fn control(&self, verb: &VerbMeta) -> Option<String> {
        self.find(|entity| entity.source == Source::Verb(verb.name.clone()))
    }

    /// The verbs that act, without an entity, and that Home Assistant can send.
    pub(super) fn scripts(&self) -> Vec<Script<'_>> {
        self.without_entity().filter(|verb| !verb.needs_signature).map(|verb| self.script(verb)).collect()
    }

    /// Those that it cannot send, because it signs nothing.
    pub(super) fn unsendable(&self) -> impl Iterator<Item = &VerbMeta> {
        self.without_entity().filter(|verb| verb.needs_signature)
    }

    fn without_entity(&self) -> impl Iterator<Item = &VerbMeta> {
        let acting = |verb: &&VerbMeta| verb.class != Class::Query && self.control(verb).is_none();
        self.meta.verbs.iter().filter(acting)
    }

    fn script<'a>(&self, verb: &'a VerbMeta) -> Script<'a> {
        let name = slug(&format!("{}_{}", self.base.node(), verb.name));
        let field = |argument: &'a ArgumentMeta| Field {
            argument,
            helper: Helper::of(argument),
            name: slug(&format!("{name}_{}", argument.name)),
        };
        Script { fields: verb.arguments.iter().map(field).collect(), name, verb }
    }

    /// The label of the status as an expression of a template, from the words of the `meta`.
    pub(super) fn status_expression(&self, entity: &str) -> String {
        let status = self.meta.properties.iter().find(|property| property.key == "status");
        let words = status.into_iter().flat_map(|status| &status.words);
        let labels = words.map(|word| format!("{}: {}", quoted(&word.word), quoted(&word.label)));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let state = format!("states({})", quoted(entity));
        format!("{{{labels}}}.get({state}, {state} | upper)")
    }
}
