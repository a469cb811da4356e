//! The codec against the recorded bytes that the simulated focuser is tested against too.

use bus::transcript::What;
use focuser_bridge::protocol::{Reply, Request};

const TRANSCRIPT: &str = include_str!("../transcript.txt");

const REQUESTS: [Request; 12] = [
    Request::ReadPosition,
    Request::ReadStatus,
    Request::ReadTemperature,
    Request::GoTo(-33_072),
    Request::GoTo(-30_528),
    Request::RunInwards(21_341),
    Request::Stop,
    Request::HighImpedance,
    Request::SetMaxSpeed(41),
    Request::SetAcceleration(437),
    Request::SetDeceleration(437),
    Request::SetStepMode(3),
];

#[test]
fn every_frame_of_the_transcript_is_what_a_request_writes_or_its_reply() {
    let (mut asked, mut replies) = (None, 0);
    let mut written = Vec::new();
    for record in bus::transcript::parse(TRANSCRIPT).unwrap().remove(0).records {
        match record.what {
            What::Sent(bytes) => {
                asked = REQUESTS.iter().find(|request| request.encode() == bytes);
                // RTS2's form, without the blank before the end.
                assert!(asked.is_some() || bytes == b"#P031 F$\n", "{}", bytes.escape_ascii());
                written.extend(asked);
            }
            What::Received(bytes) => {
                let request = asked.expect("a reply has a request");
                let frame = bytes.strip_suffix(b"\n").expect("a line feed after the reply");
                assert!(request.decode(frame).is_ok(), "{}", bytes.escape_ascii());
                replies += 1;
            }
            What::Note(note) => panic!("a note: {note}"),
        }
    }
    assert_eq!(replies, 6);
    assert!(REQUESTS.iter().all(|request| written.contains(&request)), "{written:?}");
}

#[test]
fn a_reply_with_one_byte_damaged_is_another_number_or_refused_and_never_another_kind() {
    for (request, frame) in [
        (Request::ReadPosition, "#P081 F -30528$"),
        (Request::ReadStatus, "#S004 F NCO$"),
        (Request::ReadTemperature, "#S052 F 645$"),
    ] {
        for (place, bit) in (0..frame.len()).flat_map(|place| (0..8).map(move |bit| (place, bit))) {
            let mut damaged = frame.as_bytes().to_vec();
            damaged[place] ^= 1 << bit;
            match (request.decode(&damaged), request) {
                (Err(_), _)
                | (Ok(Reply::Position(_)), Request::ReadPosition)
                | (Ok(Reply::Status(_)), Request::ReadStatus)
                | (Ok(Reply::Temperature(_)), Request::ReadTemperature) => {}
                (reply, _) => panic!("{}: {reply:?}", damaged.escape_ascii()),
            }
            // The frame's own letters are what it is known by.
            let head = place < "#P081 F ".len() || place == frame.len() - 1;
            assert!(!head || request.decode(&damaged).is_err(), "{}", damaged.escape_ascii());
        }
    }
}
