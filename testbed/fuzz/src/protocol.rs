//! The codecs. A frame is a reply to at most one kind of request, and what has a checksum notices
//! each flipped bit.

use chiller_bridge::protocol::{Codec, Fan, FrameNames, Request, TecBank, Temperature, Threshold, decode};
use focuser_bridge::protocol as focus;

fn chiller_requests() -> Vec<Request> {
    let temperature = Temperature::from_tenths(150).into_iter().map(Request::SetTemperature);
    let fixed = [
        Request::ReadStatus,
        Request::ReadSetTemperature,
        Request::ReadSupplyTemperature,
        Request::ReadAmbientTemperature,
        Request::ReadProcessFlow,
        Request::ReadTecCurrent(TecBank::One),
        Request::ReadTecCurrent(TecBank::Two),
        Request::ReadDriveLevel,
        Request::SetRunning(true),
        Request::ReadAndClearAlarms,
        Request::ReadAlarmDetail1,
        Request::ReadWarnings,
        Request::ReadThreshold(Threshold::LowFlowAlarm),
        Request::ReadThreshold(Threshold::HighSupplyWarning),
        Request::ReadUptime,
        Request::ReadFanSpeed(Fan::Two),
    ];
    temperature.chain(fixed).collect()
}

/// The first byte chooses the request, the second whether the checksum is mended; the rest is the frame.
pub(crate) fn chiller(bytes: &[u8]) {
    let [which, mend, rest @ ..] = bytes else { return };
    let requests = chiller_requests();
    let Some(request) = requests.get(usize::from(*which) % requests.len()) else { return };
    let sent = Codec::new(FrameNames::Tagged).encode(request);
    let mut frame = rest.to_vec();
    if mend % 2 == 1 {
        complete(&mut frame);
    }
    if decode(request, &sent, &frame).is_err() {
        return;
    }
    for bit in 0..frame.len() * 8 {
        let mut flipped = frame.clone();
        if let Some(byte) = flipped.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        assert!(decode(request, &sent, &flipped).is_err(), "bit {bit} of {}", frame.escape_ascii());
    }
    let accepted = requests.iter().filter(|other| {
        let sent = Codec::new(FrameNames::Tagged).encode(other);
        decode(other, &sent, &frame).is_ok()
    });
    assert_eq!(accepted.count(), 1, "{}", frame.escape_ascii());
}

/// Appends the checksum and the terminator, as the unit does.
fn complete(frame: &mut Vec<u8>) {
    let sum = frame.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    frame.extend(format!("{sum:02X}\r").bytes());
}

/// The first byte chooses the request; the rest is the frame.
pub(crate) fn focuser(bytes: &[u8]) {
    use focus::{Reply, Request};
    const READS: [Request; 3] = [Request::ReadPosition, Request::ReadStatus, Request::ReadTemperature];
    let [which, frame @ ..] = bytes else { return };
    let Some(request) = READS.get(usize::from(*which) % READS.len()) else { return };
    let Ok(reply) = request.decode(frame) else { return };
    match reply {
        Reply::Position(steps) => assert!(focus::COUNTER.contains(&steps)),
        Reply::Status(_) | Reply::Temperature(_) => {}
        Reply::Written => panic!("a read was answered"),
    }
    assert_eq!(READS.iter().filter(|other| other.decode(frame).is_ok()).count(), 1);
}
