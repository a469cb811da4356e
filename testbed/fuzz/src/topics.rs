//! Topics. What is read from a topic gives the same topic again.

use bus::topic::{Base, Identity, RequestId};

pub(crate) fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(base) = Base::of_topic(&text) {
        let again = Base::new(base.site(), base.device());
        assert_eq!(again.ok().as_ref(), Some(&base));
        assert!(text.starts_with(&format!("{base}/")));
        if let Ok(command) = base.parse_command(&text) {
            assert_eq!(base.command(&command.identity, &command.verb), text);
            assert!(base.is_command(&text));
        }
    }
    if let (Ok(base), Some((by, id))) = (Base::new("clasp", "lamp"), text.split_once(' '))
        && let (Ok(identity), Ok(id)) = (Identity::new(by), RequestId::new(id))
    {
        let topic = base.reply(&identity, Some(&id));
        assert!(base.may_reply_on(&topic, &identity), "{topic}");
        assert!(!topic.contains(['+', '#', '\0']), "{topic}");
    }
}
