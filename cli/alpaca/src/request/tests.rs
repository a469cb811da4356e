use super::*;

fn ask(method: &str, target: &str, body: &str) -> Result<Wanted, Refused> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    understand(&method.parse().unwrap(), path, query, body.as_bytes(), 2)
}

fn member(method: &str, member: &str, body: &str) -> Result<(Call, Ids), Refused> {
    match ask(method, &format!("/api/v1/focuser/1/{member}"), body)? {
        Wanted::Member { device: 1, call, ids } => Ok((call, ids)),
        other => panic!("{other:?}"),
    }
}

fn status(result: Result<impl std::fmt::Debug, Refused>) -> u16 {
    result.unwrap_err().status
}

const BOTH: Ids = Ids { client: 123_456, transaction: 67890 };
const IDS: &str = "ClientID=123456&ClientTransactionID=67890";

#[test]
fn every_property_is_read_with_get() {
    for (property, path) in Property::ALL {
        let (call, ids) = member("GET", &format!("{path}?{IDS}&ExtraParameter=x"), "").unwrap();
        assert_eq!((call, ids), (Call::Get(*property), BOTH), "{path}");
        assert_eq!(status(member("GET", &path.to_uppercase(), "")), 400, "a path is in lower case");
        let allowed = if PUT.contains(path) { "GET, PUT" } else { "GET" };
        let refused = member("POST", path, "").unwrap_err();
        assert_eq!((refused.status, refused.allow), (405, Some(allowed)), "{path}");
    }
}

#[test]
fn every_change_is_made_with_put() {
    let set = |body: &str| format!("{IDS}&{body}");
    for (path, body, wanted) in [
        ("connect", "", Call::Connect),
        ("disconnect", "", Call::Disconnect),
        ("connected", "Connected=True", Call::Connect),
        ("connected", "Connected=false", Call::Disconnect),
        ("tempcomp", "TempComp=true", Call::TempComp(true)),
        ("halt", "ExtraParameter=x", Call::Halt),
        ("move", "Position=2500", Call::Move(2500)),
        ("move", "Position=-10", Call::Move(-10)),
        ("action", "Action=dance&Parameters=", Call::Action("dance".to_owned())),
        ("commandblind", "Command=x&Raw=True", Call::Command("CommandBlind")),
        ("commandbool", "Command=x&Raw=True", Call::Command("CommandBool")),
        ("commandstring", "Command=x&Raw=True", Call::Command("CommandString")),
    ] {
        assert_eq!(member("PUT", path, &set(body)), Ok((wanted, BOTH)), "{path} {body}");
        assert!(PUT.contains(&path));
    }
    for path in ["halt", "move", "action"] {
        assert_eq!(member("GET", path, "").unwrap_err().allow, Some("PUT"), "{path}");
    }
    assert_eq!(status(member("PUT", "position", "Position=1")), 405);
}

#[test]
fn a_value_that_cannot_be_one_is_refused_and_nothing_is_done() {
    for (path, body) in [
        ("connected", ""),
        ("connected", "Connected="),
        ("connected", "Connected=123456"),
        ("connected", "Connected=asdqwe"),
        ("tempcomp", "TempComp=1"),
        ("move", ""),
        ("move", "Position="),
        ("move", "Position=1.5"),
        ("move", "Position=1e3"),
        ("move", "Position=NaN"),
        ("move", "Position= 1"),
        ("move", "Position=2147483648"),
        ("move", "Position=-2147483649"),
        ("move", "Position=1&Position=2"),
        ("move", "Position=%FF%FE"),
        ("action", "Parameters=x"),
    ] {
        assert_eq!(status(member("PUT", path, &format!("{IDS}&{body}"))), 400, "{path} {body}");
    }
}

#[test]
fn names_are_case_sensitive_in_a_form_and_not_in_a_query() {
    for (path, good) in
        [("connected", "Connected=True"), ("tempcomp", "TempComp=False"), ("move", "Position=1")]
    {
        assert_eq!(status(member("PUT", path, &good.to_uppercase())), 400, "{path}");
        assert_eq!(status(member("PUT", path, &good.to_lowercase())), 400, "{path}");
        // What is spelt otherwise is another parameter, which is ignored.
        let (_, ids) = member("PUT", path, &format!("clientid=1&clienttransactionid=2&{good}")).unwrap();
        assert_eq!(ids, Ids::default());
    }
    assert_eq!(member("GET", "name?CLIENTID=123456&clienttransactionid=67890", "").unwrap().1, BOTH);
    // The parameters of a PUT are in its body.
    assert_eq!(status(member("PUT", "move?Position=1", "")), 400);
}

#[test]
fn an_id_that_is_no_number_is_refused_for_every_member() {
    for id in ["", "%20%20", "-12345", "asdasd", "1.0", "+1", "4294967296"] {
        for name in ["ClientID", "ClientTransactionID"] {
            for (_, path) in Property::ALL {
                assert_eq!(
                    status(member("GET", &format!("{path}?{name}={id}"), "")),
                    400,
                    "{path} {name}={id}"
                );
            }
            for path in PUT {
                let body = format!("Connected=True&TempComp=False&Position=1&Action=x&{name}={id}");
                assert_eq!(status(member("PUT", path, &body)), 400, "{path} {name}={id}");
            }
        }
    }
    assert_eq!(member("GET", "name", "").unwrap().1, Ids::default(), "without ids they are 0");
    let (_, greatest) = member("GET", "name?ClientID=4294967295", "").unwrap();
    assert_eq!(greatest.client, u32::MAX);
}

#[test]
fn what_is_not_served_is_refused_with_what_is() {
    for target in [
        "/api/v1/FOCUSER/0/description",
        "/api/v1/baddevicetype/0/description",
        "/api/v1/focuser/-1/description",
        "/api/v1/focuser/2/description",
        "/api/v1/focuser/99999/description",
        "/api/v1/focuser/A/description",
        "/api/v1/focuser/0/descrip",
        "/api/v2/focuser/0/description",
        "/api/V1/focuser/0/description",
        "/api/1/focuser/0/description",
    ] {
        let refused = ask("GET", target, "").unwrap_err();
        assert_eq!(refused.status, 400, "{target}");
    }
    for target in
        ["/apx/v1/focuser/0/name", "/management", "/management/v2/description", "/etc/passwd", "/api"]
    {
        assert_eq!(status(ask("GET", target, "")), 404, "{target}");
    }
    let refused = ask("GET", "/api/v1/focuser/7/name", "").unwrap_err();
    for number in ["+0", "", "-1", "0x0", "99999999999999999999"] {
        assert_eq!(
            ask("GET", &format!("/api/v1/focuser/{number}/name"), "").unwrap_err().status,
            400,
            "{number}"
        );
    }
    assert_eq!(refused.message, "there is no focuser \"7\": expected 0 to 1");
}

#[test]
fn management_and_pages_are_read() {
    for (path, about) in [
        ("apiversions", Management::Versions),
        ("v1/description", Management::Description),
        ("v1/configureddevices", Management::Devices),
    ] {
        let wanted = ask("GET", &format!("/management/{path}?{IDS}"), "").unwrap();
        assert_eq!(wanted, Wanted::Management { about, ids: BOTH });
        assert_eq!(status(ask("PUT", &format!("/management/{path}"), "")), 405);
        assert_eq!(status(ask("GET", &format!("/management/{path}?ClientID=x"), "")), 400);
    }
    assert_eq!(ask("GET", "/", ""), Ok(Wanted::Page(None)));
    assert_eq!(ask("GET", "/setup", ""), Ok(Wanted::Page(None)));
    assert_eq!(ask("GET", "/setup/v1/focuser/1/setup", ""), Ok(Wanted::Page(Some(1))));
    assert_eq!(status(ask("GET", "/setup/v1/focuser/2/setup", "")), 400);
    assert_eq!(status(ask("PUT", "/setup", "")), 405);
}
