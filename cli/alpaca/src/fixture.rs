//! An instrument for the tests: a slide from 0 to 6 mm.

use bus::message::Meta;
use serde_json::{Value, json};

use crate::axis::State;

fn number(key: &str, quantity: &str, role: &str, set_by: Option<&str>) -> Value {
    json!({"key": key, "label": key, "quantity": quantity, "unit": (quantity == "position").then_some("mm"),
        "decimals": 3, "words": [], "role": role, "many": false, "history": false, "set_by": set_by})
}

fn verb(name: &str, arguments: &Value, more: &Value) -> Value {
    let mut verb = json!({"name": name, "class": "exclusive", "overriding_for": [], "motion": false,
        "stop": false, "needs_id": false, "timeout_s": 30.0, "argument": null, "arguments": arguments});
    for (key, value) in more.as_object().unwrap() {
        verb[key] = value.clone();
    }
    verb
}

/// Its description.
pub(crate) fn meta() -> Meta {
    let millimetres = json!([{"name": "mm", "kind": "number", "unit": "mm", "minimum": 0.0, "maximum": 6.0,
        "step": 0.001, "choices": null, "optional": false}]);
    let word = |word: &str, tone: &str| json!({"word": word, "label": word, "tone": tone});
    let mut status = number("status", "word", "headline", None);
    status["words"] = json!([
        word("idle", "good"),
        word("moving", "busy"),
        word("homing", "busy"),
        word("not_homed", "warning"),
        word("fault", "bad")
    ]);
    let meta = json!({
        "schema": 2, "kind": "slide", "label": "slide", "model": "X <1>", "version": "1", "stale_after_s": 5.0,
        "verbs": [
            verb("ping", &json!([]), &json!({})),
            verb("home", &json!([]), &json!({"motion": true})),
            verb("go", &millimetres, &json!({"motion": true})),
            verb("shift", &millimetres, &json!({"motion": true, "needs_id": true})),
            verb("halt", &json!([]), &json!({"stop": true})),
        ],
        "properties": [
            status,
            number("at", "position", "headline", None),
            number("to", "position", "setting", Some("go")),
            number("temp", "number", "reading", None),
        ],
    });
    serde_json::from_value(meta).unwrap()
}

/// Its state.
pub(crate) fn state(status: &str, at: Option<f64>) -> State {
    let state = json!({
        "schema": 2, "session": "s", "started_at": "2026-11-20T10:00:00.000Z", "uptime_s": 60.0, "seq": 1,
        "published_at": "2026-11-20T10:32:00.000Z", "stale_after_s": 5.0, "status": status,
        "status_label": status, "summary": format!("the slide is {status}"), "reason": "ready",
        "date": "2026-11-20T10:32:00.000Z", "connected": true, "attention": [], "last_command": null,
        "at": at, "to": at, "temp": 12.5,
    });
    serde_json::from_value(state).unwrap()
}
