//! Messages on a command topic. Nobody commands who may not, and a request gets one reply.

use bus::command::{Desk, Gate, Output};
use bus::incoming::Incoming;
use bus::message::{ReplyStatus, encode};
use bus::topic::Identity;

use crate::core::{CHILLER, FOCUSER};
use crate::{lines, start};

/// The first byte chooses the device and the properties; a line each: the topic after the base, the
/// response topic, the correlation data; the rest is the payload.
pub(crate) fn commands(bytes: &[u8]) {
    let [flags, rest @ ..] = bytes else { return };
    let settings = if flags & 1 == 0 { CHILLER.with(|it| it.desk()) } else { FOCUSER.with(|it| it.desk()) };
    let base = settings.base.clone();
    let (control, stop) = (settings.control_clients.clone(), settings.stop_clients.clone());
    let mut parts = rest.splitn(4, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let topic = format!("{base}/command/{}", String::from_utf8_lossy(part()));
    let response = String::from_utf8_lossy(part()).into_owned();
    let correlation = part().to_vec();
    let payload = part().to_vec();
    let now = start();
    let mut desk = Desk::new(settings);
    desk.set_gate(if flags & 2 == 0 { Gate::Ready } else { Gate::AclOpen });
    let incoming = Incoming {
        topic: topic.clone(),
        payload,
        retain: flags & 4 != 0,
        signatures: (flags & 64 != 0).then(|| response.clone()).into_iter().collect(),
        response_topic: (flags & 8 != 0).then_some(response),
        correlation: (flags & 16 != 0).then_some(correlation),
        received: now,
        stalled: flags & 32 != 0,
    };
    desk.receive(&incoming, now, |_, _| Ok(None));
    let sender = topic.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let (mut replies, mut terminal, mut admitted) = (0, 0, 0);
    for _ in 0..2 {
        while let Some(output) = desk.poll_output() {
            match output {
                Output::Post(post) => {
                    replies += 1;
                    terminal += u32::from(post.reply.status.is_terminal());
                    let expected = format!("{base}/reply/{sender}/");
                    assert!(post.topic.starts_with(&expected), "{} for {topic}", post.topic);
                    assert!(!post.topic.contains(['+', '#', '\0']), "{}", post.topic);
                    assert!(encode(&post.reply).len() < 8192);
                    let refused = post.reply.status == ReplyStatus::Rejected;
                    assert!(refused || may(&control, &sender) || may(&stop, &sender), "{:?}", post.reply);
                }
                Output::Admit(ticket, verb, _) => {
                    admitted += 1;
                    let allowed = if verb.stop { may(&stop, &sender) } else { may(&control, &sender) };
                    assert!(allowed && ticket.by.as_str() == sender, "{ticket:?} {}", verb.name);
                    assert!(!incoming.retain, "a retained command was admitted");
                }
                Output::Save(number) => desk.journalled(number),
                Output::Prepare(..) | Output::Withdraw(_) => {}
                Output::Event(_) | Output::ClocksAgree | Output::Reconnect => {}
            }
        }
        // What waits for a disk begins without one.
        while let Some(due) = desk.poll_timeout().filter(|due| due.since(now.instant).as_secs() < 1) {
            desk.handle_timeout(now.after(due.since(now.instant)));
            if desk.poll_timeout() == Some(due) {
                break;
            }
        }
    }
    assert!(replies <= 2 && terminal <= 1 && admitted <= 1, "{replies} replies, {admitted} admitted");
    assert!(lines(topic.as_bytes()).count() == 1 || admitted == 0, "a line feed in a topic");
}

fn may(clients: &std::collections::BTreeSet<Identity>, name: &str) -> bool {
    clients.iter().any(|it| it.as_str() == name)
}
