use super::*;

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn account(now: Instant) -> Account {
    Account::new(HOUR, SECOND * 60, now)
}

fn name(name: &str) -> LogstoreName {
    LogstoreName::parse(name).expect("a good name")
}

fn shard(id: u32, writable: bool) -> Shard {
    Shard {
        id,
        writable,
        begin_key: u128::from(id) << 120,
    }
}

fn refused(kind: Kind) -> Result<Vec<Shard>, CallError> {
    Err(CallError {
        kind,
        status: Some(400),
        text: "".into(),
        request_id: None,
    })
}

/// Asks as whoever looks first does.
fn listed(
    account: &Account,
    logstore: &LogstoreName,
    answer: Result<Vec<Shard>, CallError>,
    now: Instant,
) -> Next {
    account.listed(logstore, &answer, now)
}

fn seen(
    account: &Account,
    logstore: &LogstoreName,
    now: Instant,
) -> Result<Logstore, DescribeError> {
    match account.look(logstore, now) {
        Look::Known { logstore, .. } => Ok(logstore),
        Look::Refused(error) => Err(error),
        Look::Ask(..) | Look::Wait(_) => panic!("nothing is known"),
    }
}

#[test]
fn one_asks_and_all_others_wait_for_him() {
    let (now, logstore) = (Instant::now(), name("access"));
    let account = account(now);
    let Look::Ask(asking, _) = account.look(&logstore, now) else {
        panic!("nothing is known");
    };
    let Look::Wait(waiting) = account.look(&logstore, now) else {
        panic!("someone asks");
    };
    assert!(waiting.has_changed().is_ok());
    let shards = vec![shard(3, true), shard(1, false), shard(2, true)];
    assert_eq!(listed(&account, &logstore, Ok(shards), now), Next::Done);
    account.asked(&logstore);
    drop(asking);
    assert!(waiting.has_changed().is_err(), "he is done");
    let found = seen(&account, &logstore, now).expect("it exists");
    assert_eq!(*found.shards, [2, 3], "those that take logs, in order");
    assert_eq!(found.may_write, Permission::Unknown);
    assert_eq!(account.shard_key(&logstore, 3), Some(3 << 120));
    assert_eq!(
        account.shard_key(&logstore, 1),
        Some(2 << 120),
        "its successor"
    );
    assert_eq!(
        account.shard_key(&logstore, 9),
        Some(2 << 120),
        "round again"
    );
}

#[test]
fn a_good_answer_is_served_stale_and_asked_anew_by_one() {
    let (now, logstore) = (Instant::now(), name("access"));
    let account = account(now);
    listed(&account, &logstore, Ok(vec![shard(0, true)]), now);
    let later = now + SECOND * 60;
    let refresh = |now| match account.look(&logstore, now) {
        Look::Known { refresh, .. } => refresh,
        _ => panic!("it is known"),
    };
    assert!(refresh(later - SECOND).is_none());
    assert!(refresh(later).is_some());
    assert!(refresh(later).is_none(), "someone asks");
    listed(&account, &logstore, refused(Kind::ServerError), later);
    account.asked(&logstore);
    assert!(seen(&account, &logstore, later).is_ok());
    assert!(refresh(later + REFRESH_PAUSE).is_some());
}

#[test]
fn what_existed_is_gone_after_two_refusals_and_a_negative_lives_a_second() {
    let (now, logstore) = (Instant::now(), name("access"));
    let account = account(now);
    listed(&account, &logstore, Ok(vec![shard(0, true)]), now);
    let gone = || refused(Kind::NoLogstore);
    assert_eq!(
        listed(&account, &logstore, gone(), now),
        Next::AskAgain(now + SECOND)
    );
    assert!(seen(&account, &logstore, now).is_ok());
    let later = now + SECOND;
    assert_eq!(listed(&account, &logstore, gone(), later), Next::Done);
    let missing = Err(DescribeError::NoLogstore);
    assert_eq!(seen(&account, &logstore, later), missing);
    assert!(matches!(
        account.look(&logstore, later + NEGATIVE_LIFE),
        Look::Ask(..)
    ));
}

#[test]
fn a_key_that_worked_is_held_and_after_the_grace_refused() {
    for (kind, refused_as) in [
        (Kind::SignatureNotMatch, DescribeError::BadKey),
        (Kind::InvalidAccessKeyId, DescribeError::BadKey),
        (Kind::Unauthorized, DescribeError::Unauthorized),
    ] {
        let (now, logstore) = (Instant::now(), name("access"));
        let account = account(now);
        listed(&account, &logstore, refused(kind), now);
        assert_eq!(seen(&account, &logstore, now), Err(refused_as), "{kind}");
        listed(&account, &logstore, Ok(vec![shard(0, true)]), now);
        account.wrote(&logstore, now);
        let write = |now| account.write_refused(&logstore, kind, now);
        assert_eq!(write(now), Some(WriteRuling::AskAgain(now + SECOND)));
        let held = Some(WriteRuling::Final(PutError::KeyHeld));
        assert_eq!(write(now + SECOND), held);
        let refused = Some(WriteRuling::Final(put_error(refused_as)));
        assert_eq!(write(now + HOUR), refused, "{kind}");
    }
}

#[test]
fn a_key_that_sees_but_never_wrote_is_told_at_once() {
    let (now, logstore) = (Instant::now(), name("access"));
    let account = account(now);
    listed(&account, &logstore, Ok(vec![shard(0, true)]), now);
    let told = account.write_refused(&logstore, Kind::Unauthorized, now);
    assert_eq!(told, Some(WriteRuling::Final(PutError::Unauthorized)));
    let may_write = |now| seen(&account, &logstore, now).map(|found| found.may_write);
    assert_eq!(may_write(now), Ok(Permission::No));
    assert_eq!(may_write(now + NEGATIVE_LIFE), Ok(Permission::Unknown));
}

#[test]
fn other_failures_say_nothing_of_key_and_logstore() {
    let (now, logstore) = (Instant::now(), name("access"));
    let account = account(now);
    for kind in [Kind::ServerError, Kind::ProjectForbidden, Kind::Unknown] {
        assert_eq!(account.write_refused(&logstore, kind, now), None, "{kind}");
        listed(&account, &logstore, refused(kind), now);
        let unavailable = Err(DescribeError::Unavailable);
        assert_eq!(seen(&account, &logstore, now), unavailable, "{kind}");
    }
}

#[test]
fn names_that_are_not_there_take_no_room_for_ever() {
    let now = Instant::now();
    let account = account(now);
    for index in 0..LOGSTORES_MAX * 3 {
        let logstore = name(&format!("made-up-{index}"));
        let now = now + SECOND * u32::try_from(index).expect("small");
        let look = account.look(&logstore, now);
        assert!(matches!(look, Look::Ask(..)), "{index}");
        listed(&account, &logstore, refused(Kind::NoLogstore), now);
        account.asked(&logstore);
    }
    assert!(account.lock().logstores.len() <= LOGSTORES_MAX);
}
