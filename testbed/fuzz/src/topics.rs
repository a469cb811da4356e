//! Topics. What is read from a topic gives the same topic again.

use bus::topic::{Base, Identity, RequestId, What};

pub(crate) fn topics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some((base, what)) = What::on(&text) {
        assert_eq!(format!("{base}/{}", what.level()), text);
    }
    if let Some(base) = Base::of_reply(&text) {
        assert!(text.starts_with(&format!("{base}/reply/")), "{text}");
    }
    let mut levels = text.split('/');
    if let (Some(site), Some(device)) = (levels.next(), levels.next())
        && let Ok(base) = Base::new(site, device)
        && let Ok(command) = base.parse_command(&text)
    {
        assert_eq!(base.command(&command.identity, &command.verb), text);
        assert!(base.is_command(&text));
    }
    if let (Ok(base), Some((by, id))) = (Base::new("clasp", "lamp"), text.split_once(' '))
        && let (Ok(identity), Ok(id)) = (Identity::new(by), RequestId::new(id))
    {
        let topic = base.reply(&identity, Some(&id));
        assert!(base.may_reply_on(&topic, &identity), "{topic}");
        assert!(!topic.contains(['+', '#', '\0']), "{topic}");
    }
}
