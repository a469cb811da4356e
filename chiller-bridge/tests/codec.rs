//! The chiller's codec against literal bytes: the transcripts that the simulator is tested against too,
//! every damage of one bit, late replies, arbitrary bytes.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;

use bus::transcript::{Record, What};
use chiller_bridge::protocol::{
    BadFrame, Codec, ErrorDigit, Fan, FrameError, FrameNames, HeatOrCool, MAX_REPLY_BYTES, Reply, Request,
    Status, TecBank, Temperature, Threshold, UnitMode, decode,
};
use proptest::prelude::*;

const TRANSCRIPT: &str = include_str!("../transcript.txt");

/// (request, reply), each with its carriage return.
fn transcript() -> Vec<(Vec<u8>, Vec<u8>)> {
    let records = bus::transcript::parse(TRANSCRIPT).unwrap().remove(0).records;
    let pairs = records.chunks(2).map(|pair| match pair {
        [Record { what: What::Sent(sent), .. }, Record { what: What::Received(reply), .. }] => {
            (sent.clone(), reply.clone())
        }
        other => panic!("expected a request and its reply, got {other:?}"),
    });
    pairs.collect()
}

fn tenths(tenths: i16) -> Temperature {
    Temperature::from_tenths(tenths).unwrap()
}

/// Every request, those that set with two values.
fn requests() -> Vec<Request> {
    let thresholds = [
        Threshold::HighSupplyWarning,
        Threshold::LowSupplyWarning,
        Threshold::HighAmbientWarning,
        Threshold::LowAmbientWarning,
        Threshold::LowFlowWarning,
        Threshold::HighSupplyAlarm,
        Threshold::LowSupplyAlarm,
        Threshold::HighAmbientAlarm,
        Threshold::LowAmbientAlarm,
        Threshold::LowFlowAlarm,
    ];
    let mut requests = vec![
        Request::ReadStatus,
        Request::ReadSetTemperature,
        Request::ReadSupplyTemperature,
        Request::ReadAmbientTemperature,
        Request::ReadProcessFlow,
        Request::ReadTecCurrent(TecBank::One),
        Request::ReadTecCurrent(TecBank::Two),
        Request::ReadDriveLevel,
        Request::ReadAlarmDetail1,
        Request::ReadAlarmDetail2,
        Request::ReadWarnings,
        Request::ReadUptime,
        Request::ReadAndClearAlarms,
        Request::SetRunning(false),
        Request::SetRunning(true),
        Request::SetTemperature(tenths(200)),
        Request::SetTemperature(tenths(-50)),
    ];
    requests.extend(thresholds.map(Request::ReadThreshold));
    requests.extend([Fan::One, Fan::Two, Fan::Three, Fan::Four].map(Request::ReadFanSpeed));
    requests
}

/// The request that these bytes are, if it is one of ours.
fn request_of(sent: &[u8]) -> Option<Request> {
    let data = std::str::from_utf8(&sent[13..sent.len() - 3]).unwrap();
    match &sent[3..5] {
        b"15" => Some(Request::SetRunning(data == "1")),
        b"17" => Some(Request::SetTemperature(tenths(data.parse().unwrap()))),
        b"19" if data == "1" => Some(Request::ReadAlarmDetail1),
        b"19" => Some(Request::ReadAlarmDetail2),
        number => requests().into_iter().find(|request| request.frame(b"________")[3..5] == *number),
    }
}

/// A reply built by the manual's rules, independently of the codec.
fn reply_to(sent: &[u8], digit: char, data: &str) -> Vec<u8> {
    let text = |range| std::str::from_utf8(&sent[range]).unwrap();
    let mut frame = format!("#{}{digit}{}{data}", text(1..5), text(5..13));
    let sum: u32 = frame.bytes().map(u32::from).sum();
    frame.push_str(&format!("{:02X}\r", sum % 256));
    frame.into_bytes()
}

/// The data of a good reply to `request`.
fn example_data(request: &Request) -> &'static str {
    match request {
        Request::ReadStatus => "2101",
        Request::ReadDriveLevel => "069,C",
        Request::SetRunning(false) => "0",
        Request::SetRunning(true) => "1",
        Request::SetTemperature(temperature) if temperature.tenths() == 200 => "+0200",
        Request::SetTemperature(_) => "-0050",
        Request::ReadAndClearAlarms => "01A004",
        Request::ReadAlarmDetail1 => "101020408",
        Request::ReadAlarmDetail2 => "209000100",
        Request::ReadWarnings => "0800",
        Request::ReadUptime => "165406",
        Request::ReadFanSpeed(_) => "0131",
        _ => "-0152",
    }
}

#[test]
fn every_frame_of_the_transcript_is_understood() {
    let (mut read, mut errors, mut others) = (0, Vec::new(), BTreeSet::new());
    for (sent, reply) in transcript() {
        let Some(request) = request_of(&sent) else {
            others.insert(String::from_utf8(sent[3..5].to_vec()).unwrap());
            continue;
        };
        let result = decode(&request, &sent, &reply);
        if reply[5] == b'0' {
            read += 1;
            let mut upper = sent.clone();
            upper[sent.len() - 3..].make_ascii_uppercase();
            let name = sent[5..13].try_into().unwrap();
            assert_eq!(request.frame(name).escape_ascii().to_string(), upper.escape_ascii().to_string());
            assert!(result.is_ok(), "{}: {result:?}", reply.escape_ascii());
        } else {
            errors.push(result.unwrap_err());
        }
    }
    assert!(read > 60, "{read}");
    let expected: [FrameError; 4] = [
        BadFrame::RequestGarbled(ErrorDigit::Checksum).into(),
        FrameError::Refused(ErrorDigit::OutOfBounds),
        BadFrame::RequestGarbled(ErrorDigit::Checksum).into(),
        BadFrame::RequestGarbled(ErrorDigit::Length).into(),
    ];
    assert_eq!(errors, expected);
    // What this daemon never sends: settings of the front panel, a reserved number, and readings that
    // say nothing.
    let never = [
        "02", "05", "06", "07", "12", "14", "16", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30",
        "46", "48", "59",
    ];
    assert_eq!(others.iter().map(String::as_str).collect::<Vec<_>>(), never);
}

#[test]
fn the_manuals_request_frames_come_out_byte_for_byte() {
    let known: BTreeSet<_> = transcript().into_iter().map(|(sent, _)| sent).collect();
    let mut codec = Codec::new(FrameNames::Manual);
    for request in requests() {
        let frame = codec.encode(&request);
        assert!(known.contains(&frame), "{}", frame.escape_ascii());
    }
}

#[test]
fn recorded_replies_have_the_recorded_values() {
    fn read(request: Request, sent: &str, frame: &str) -> Reply {
        decode(&request, format!("{sent}\r").as_bytes(), format!("{frame}\r").as_bytes()).unwrap()
    }
    let status = read(Request::ReadStatus, ".0101WatchDog01", "#01010WatchDog2101EA");
    let expected = Status { unit_mode: UnitMode::Run, pump_on: true, alarm: false, warning: true };
    assert_eq!(status, Reply::Status(expected));
    let status = read(Request::ReadStatus, ".0101WatchDog01", "#01010WatchDog0100E7");
    let expected = Status { unit_mode: UnitMode::AutoStart, pump_on: true, alarm: false, warning: false };
    assert_eq!(status, Reply::Status(expected));

    let water = read(Request::ReadSupplyTemperature, ".0104rSupplyT46", "#01040rSupplyT+02045C");
    assert!(matches!(water, Reply::Temperature(t) if t.tenths() == 204 && (t.celsius() - 20.4).abs() < 1e-9));
    let current = read(Request::ReadTecCurrent(TecBank::Two), ".0111rTECDrLvb7", "#01110rTECDrLv+0219D3");
    assert!(matches!(current, Reply::Current(current) if (current.amperes() - 0.219).abs() < 1e-9));
    let flow = read(Request::ReadProcessFlow, ".0109rProsFlo2f", "#01090rProsFlo+001949");
    assert!(matches!(flow, Reply::Flow(flow) if (flow.litres_per_minute() - 1.9).abs() < 1e-9));
    let drive = read(Request::ReadDriveLevel, ".0113rTECB2Cr6a", "#01130rTECB2Cr016,C95");
    assert!(matches!(drive, Reply::Drive(d) if d.percent == 16 && d.direction == HeatOrCool::Cool));
    let warnings = read(Request::ReadWarnings, ".0120rWarnLv1ee", "#01200rWarnLv10800DB");
    assert!(matches!(warnings, Reply::Warnings(bits) if bits.names() == ["low_ambient_temp"]));
    let uptime = read(Request::ReadUptime, ".0149rUpTime_21", "#01490rUpTime_1654067C");
    assert!(matches!(uptime, Reply::Uptime(up) if up.minutes() == 165_406 && up.seconds() == 9_924_360));
    let alarms = read(Request::ReadAndClearAlarms, ".0118rAlrmLv1E9", "#01180rAlrmLv101A00040");
    let names = ["supply_temp_sensor", "low_process_flow", "current_sensor_1"];
    assert!(matches!(alarms, Reply::Alarms(bits) if bits.names() == names));
    let detail = read(Request::ReadAlarmDetail2, ".0119rAlrmLv221D", "#01190rAlrmLv2209000100CC");
    let names = ["global_supply_temp_sensor", "supply_temp_short", "current_sensor_1_open"];
    assert!(matches!(detail, Reply::AlarmDetail2(bits) if bits.names() == names));
    let set = Request::SetTemperature(tenths(200));
    assert_eq!(read(set, ".0117sCtrlT__+0200FE", "#01170sCtrlT__+020023"), Reply::Accepted);
}

#[test]
fn every_single_bit_flip_of_a_good_frame_is_refused() {
    for names in [FrameNames::Tagged, FrameNames::Manual] {
        let mut codec = Codec::new(names);
        for request in requests() {
            let sent = codec.encode(&request);
            let good = reply_to(&sent, '0', example_data(&request));
            assert!(good.len() <= MAX_REPLY_BYTES);
            assert!(decode(&request, &sent, &good).is_ok(), "{}", good.escape_ascii());
            for bit in 0..good.len() * 8 {
                let mut frame = good.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                let result = decode(&request, &sent, &frame);
                // Never taken for the unit's own refusal either.
                assert!(matches!(result, Err(FrameError::Bad(_))), "{}: {result:?}", frame.escape_ascii());
            }
        }
    }
}

#[test]
fn a_frame_with_a_byte_lost_or_doubled_is_refused() {
    let mut codec = Codec::new(FrameNames::Tagged);
    for request in requests() {
        let sent = codec.encode(&request);
        let good = reply_to(&sent, '0', example_data(&request));
        for place in 0..good.len() {
            let (mut short, mut long) = (good.clone(), good.clone());
            short.remove(place);
            long.insert(place, good[place]);
            assert!(matches!(decode(&request, &sent, &short), Err(FrameError::Bad(_))));
            assert!(matches!(decode(&request, &sent, &long), Err(FrameError::Bad(_))));
        }
    }
}

#[test]
fn a_late_reply_to_an_earlier_request_is_refused() {
    let mut codec = Codec::new(FrameNames::Tagged);
    let request = Request::ReadSupplyTemperature;
    let earlier = codec.encode(&request);
    let sent = codec.encode(&request);
    let late = reply_to(&earlier, '0', "+0204");
    assert!(decode(&request, &earlier, &late).is_ok());
    let error = decode(&request, &sent, &late).unwrap_err();
    assert_eq!(error.to_string(), "expected the name \"00000002\" back, got \"00000001\"");
    assert!(!error.is_refusal());
}

#[test]
fn a_reply_to_another_command_is_refused() {
    for names in [FrameNames::Tagged, FrameNames::Manual] {
        let mut codec = Codec::new(names);
        for request in requests() {
            let sent = codec.encode(&request);
            for other in requests().into_iter().filter(|other| *other != request) {
                let theirs = codec.encode(&other);
                let frame = reply_to(&theirs, '0', example_data(&other));
                let result = decode(&request, &sent, &frame);
                assert!(matches!(result, Err(FrameError::Bad(_))), "{request:?} {other:?} {result:?}");
            }
        }
    }
}

#[test]
fn a_sound_reply_with_another_address_or_number_is_refused() {
    let mut codec = Codec::new(FrameNames::Tagged);
    for request in requests() {
        let sent = codec.encode(&request);
        for (place, digit) in [(1, b'9'), (2, b'2'), (3, b'9'), (4, b'9' - (sent[4] - b'0'))] {
            let mut theirs = sent.clone();
            theirs[place] = if sent[place] == digit { b'8' } else { digit };
            let error = decode(&request, &sent, &reply_to(&theirs, '0', example_data(&request))).unwrap_err();
            let field = if place < 3 { "device address" } else { "command number" };
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}

#[test]
fn no_two_tagged_frames_are_alike_and_all_are_printable() {
    let mut codec = Codec::new(FrameNames::Tagged);
    let mut seen = BTreeSet::new();
    for _ in 0..10_000 {
        let frame = codec.encode(&Request::ReadStatus);
        assert_eq!(frame.len(), 16);
        assert!(frame[..15].iter().all(u8::is_ascii_graphic));
        assert!(seen.insert(frame));
    }
}

#[test]
fn data_of_the_wrong_form_are_refused_though_the_checksum_is_right() {
    let wrong = [
        (Request::ReadStatus, &["5101", "2201", "21 1", "210"][..]),
        (Request::ReadSupplyTemperature, &["02040", "+02 4", "+-204", "++204", "+204", "+00204", "+020A"]),
        (Request::ReadDriveLevel, &["101,C", "016,X", "016;C", "+16,C", "16,C"]),
        (Request::ReadUptime, &["+65406", "16540"]),
        (Request::ReadThreshold(Threshold::LowFlowAlarm), &["00003"]),
        (Request::ReadWarnings, &["08G0"]),
        (Request::ReadAlarmDetail1, &["201020408"]),
        (Request::SetRunning(true), &["0"]),
        (Request::SetTemperature(tenths(200)), &["+0201", "-0200"]),
    ];
    let mut codec = Codec::new(FrameNames::Tagged);
    for (request, data) in wrong {
        let sent = codec.encode(&request);
        for data in data {
            let result = decode(&request, &sent, &reply_to(&sent, '0', data));
            assert!(matches!(result, Err(FrameError::Bad(_))), "{request:?} {data} {result:?}");
        }
    }
}

#[test]
fn a_refusal_is_told_from_a_garbled_request() {
    let mut codec = Codec::new(FrameNames::Tagged);
    let request = Request::SetTemperature(tenths(600));
    let sent = codec.encode(&request);
    // Whether an error reply repeats the data is not known: both must be understood.
    for data in ["", "+0600"] {
        for (digit, refusal) in
            [('1', false), ('2', true), ('3', true), ('4', false), ('5', true), ('6', false)]
        {
            let error = decode(&request, &sent, &reply_to(&sent, digit, data)).unwrap_err();
            assert_eq!(error.is_refusal(), refusal, "{error}");
        }
    }
    let error = decode(&request, &sent, b"#23\r").unwrap_err();
    assert!(error.is_refusal());
    assert!(error.to_string().contains("out of bounds"), "{error}");
    assert!(!decode(&request, &sent, b"#24\r").unwrap_err().is_refusal());
}

#[test]
fn an_error_says_what_was_expected_and_what_came() {
    let sent = Codec::new(FrameNames::Manual).encode(&Request::ReadSupplyTemperature);
    let error = |frame: &[u8]| decode(&Request::ReadSupplyTemperature, &sent, frame).unwrap_err().to_string();
    assert_eq!(error(b"#01040rSupplyT+02956\xFF\r"), "expected checksum 66, got \"6\\xff\"");
    assert_eq!(error(b"\x00garbage\r"), "expected a reply that starts with #, got \"\\x00garbage\\r\"");
    assert_eq!(error(&reply_to(&sent, '0', "+02")), "expected a reply of 22 bytes, got 20");
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_never_taken_for_a_value_nor_panic(
        frame in proptest::collection::vec(any::<u8>(), 0..40),
        sent in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        for request in requests() {
            let good = Codec::new(FrameNames::Tagged).encode(&request);
            prop_assert!(decode(&request, &good, &frame).is_err());
            prop_assert!(decode(&request, &sent, &frame).is_err());
        }
    }

    #[test]
    fn arbitrary_data_in_a_sound_frame_never_panic(data in "[ -~]{0,9}") {
        let mut codec = Codec::new(FrameNames::Tagged);
        for request in requests() {
            let sent = codec.encode(&request);
            let result = decode(&request, &sent, &reply_to(&sent, '0', &data));
            let length = example_data(&request).len();
            prop_assert!(result.is_err() || data.len() == length, "{:?}", result);
        }
    }

    #[test]
    fn a_set_temperature_goes_out_and_comes_back_the_same(tenths in -9999_i16..=9999) {
        let temperature = Temperature::from_tenths(tenths).unwrap();
        prop_assert_eq!(Temperature::from_celsius(temperature.celsius()), Some(temperature));
        let request = Request::SetTemperature(temperature);
        let mut codec = Codec::new(FrameNames::Tagged);
        let sent = codec.encode(&request);
        prop_assert_eq!(sent.len(), 21);
        let data = std::str::from_utf8(&sent[13..18]).unwrap();
        prop_assert_eq!(data.parse::<i16>().unwrap(), tenths);
        prop_assert_eq!(decode(&request, &sent, &reply_to(&sent, '0', data)), Ok(Reply::Accepted));
        let read = Request::ReadSetTemperature;
        let sent = codec.encode(&read);
        let reply = decode(&read, &sent, &reply_to(&sent, '0', data));
        prop_assert_eq!(reply, Ok(Reply::Temperature(temperature)));
    }

    #[test]
    fn a_temperature_beyond_the_protocol_is_none(
        celsius in prop_oneof![1000.0..1e300_f64, Just(f64::NAN), Just(f64::NEG_INFINITY)],
    ) {
        prop_assert_eq!(Temperature::from_celsius(celsius), None);
        prop_assert_eq!(Temperature::from_celsius(-celsius), None);
    }
}
