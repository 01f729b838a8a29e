use std::path::Path;
use std::sync::atomic::Ordering;

use super::access::LogstoreConfig;
use super::fixtures::{config, embedded, logstore, mark, place, set, shop, stored, tenant_with};
use super::reader::Reader;
use super::*;
use crate::tenant::Secret;

fn now<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Now(answer) => answer,
        Answer::Later(_) => panic!("the embedded store answers from memory"),
    }
}

fn tenant() -> Arc<Tenant> {
    tenant_with("shop", "agent", "s3cret")
}

#[tokio::test]
async fn a_login_is_proven_by_project_id_and_secret_together() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    let check = |tenant: Arc<Tenant>, expected| {
        assert_eq!(now(backend.log_in(&tenant)), expected);
        let described = now(backend.describe(&tenant, &logstore("access")));
        let listed = now(backend.list(&tenant, 9));
        match expected {
            LoginOutcome::Proven => assert!(described.is_ok() && listed.is_ok()),
            _ => assert_eq!(
                (described, listed),
                (Err(DescribeError::BadKey), Err(DescribeError::BadKey))
            ),
        }
    };
    check(tenant(), LoginOutcome::Proven);
    check(
        tenant_with("shop", "agent", "s3creT"),
        LoginOutcome::Refused("wrong access key secret"),
    );
    check(
        tenant_with("shop", "agent", ""),
        LoginOutcome::Refused("wrong access key secret"),
    );
    check(
        tenant_with("shop", "nobody", "s3cret"),
        LoginOutcome::Refused("no such access key in this project"),
    );
    check(
        tenant_with("pub", "agent", "s3cret"),
        LoginOutcome::Refused("no such project"),
    );
    let mut with_token = Tenant::clone(&tenant());
    Arc::make_mut(&mut with_token.credentials).security_token = Some(Secret::new("t"));
    check(
        with_token.into(),
        LoginOutcome::Refused("the embedded store takes no security tokens"),
    );
}

#[tokio::test]
async fn rights_and_narrowed_keys_decide_who_may_write_what() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    let check = |id, name, expected: Result<Permission, DescribeError>| {
        let found = now(backend.describe(&tenant_with("shop", id, "s3cret"), &logstore(name)));
        assert_eq!(found.map(|found| found.may_write), expected, "{id} {name}");
    };
    check("agent", "access", Ok(Permission::Yes));
    check("agent", "missing", Err(DescribeError::NoLogstore));
    check("reader", "access", Ok(Permission::No));
    check("narrow", "access", Ok(Permission::Yes));
    check("narrow", "missing", Ok(Permission::No));
}

#[tokio::test]
async fn a_narrowed_key_cannot_tell_which_other_logstores_exist() {
    let dir = tempfile::tempdir().unwrap();
    let mut wider = config(dir.path());
    wider.projects[0].logstores.push(LogstoreConfig {
        name: logstore("orders"),
        shard_count: 5,
    });
    let backend = Embedded::open(wider).unwrap();
    let narrow = tenant_with("shop", "narrow", "s3cret");
    let describe = |name| now(backend.describe(&narrow, &logstore(name)));
    assert_eq!(describe("orders"), describe("missing"));
    assert_eq!(names(&backend, &narrow, 9), ["access"]);
    assert_eq!(names(&backend, &tenant(), 9), ["access", "orders"]);
    assert_eq!(names(&backend, &tenant(), 1), ["access"]);
}

fn names(backend: &Embedded, tenant: &Arc<Tenant>, max: usize) -> Vec<String> {
    now(backend.list(tenant, max))
        .unwrap()
        .into_iter()
        .map(|(name, _)| name.to_string())
        .collect()
}

#[tokio::test]
async fn the_first_stored_group_makes_the_logstore_and_a_listing_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut creating = config(dir.path());
    creating.projects[0].create_on_first_use = true;
    let backend = Embedded::open(creating).unwrap();
    let describe = || now(backend.describe(&tenant(), &logstore("fresh"))).unwrap();
    assert_eq!((describe().shards.len(), describe().exists), (3, false));
    assert_eq!(names(&backend, &tenant(), 9), ["access"]);
    assert_eq!(backend.put(set("fresh", 2, 5)).await, Ok(()));
    assert_eq!((describe().shards.len(), describe().exists), (3, true));
    assert_eq!(names(&backend, &tenant(), 9), ["access", "fresh"]);
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("fresh", 2)),
        [(0, 5)]
    );
}

#[tokio::test]
async fn what_does_not_exist_is_not_made_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    assert_eq!(
        backend.put(set("fresh", 0, 5)).await,
        Err(crate::backend::PutError::NoLogstore.into())
    );
}

#[tokio::test]
async fn shards_that_the_configuration_dropped_can_be_read_but_are_not_offered() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    assert_eq!(backend.put(set("access", 1, 5)).await, Ok(()));
    backend.close().await;
    drop(backend);
    let mut fewer = config(dir.path());
    fewer.projects[0].logstores[0].shard_count = 1;
    let backend = Embedded::open(fewer).unwrap();
    assert_eq!(
        *now(backend.describe(&tenant(), &logstore("access")))
            .unwrap()
            .shards,
        [0]
    );
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 1)),
        [(0, 5)]
    );
}

#[tokio::test]
async fn dropping_the_future_does_not_cancel_the_write() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    drop(backend.put(set("access", 0, 5)));
    assert_eq!(backend.put(set("access", 0, 6)).await, Ok(()));
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        [(0, 5), (1, 6)]
    );
}

#[tokio::test]
async fn groups_and_marks_survive_a_restart_together() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    let mut marked = set("access", 0, 5);
    marked.marks.push(mark("producer", "seq 4"));
    assert_eq!(backend.put(marked).await, Ok(()));
    backend.close().await;
    assert!(backend.put(set("access", 0, 1)).await.is_err());
    drop(backend);
    let backend = embedded(dir.path());
    let marks: Vec<Mark> = backend.marks().into_iter().map(|(mark, _)| mark).collect();
    assert_eq!(marks, [mark("producer", "seq 4")]);
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        [(0, 5)]
    );
}

/// The files as a kill at this moment would leave them.
fn snapshot(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["sluice.db", "sluice.db-wal"] {
        std::fs::copy(from.join(name), to.path().join(name)).unwrap();
    }
    to
}

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_kill_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    let backend = embedded(dir.path());
    let mut acknowledged = Vec::new();
    for round in 0..12usize {
        let mut marked = set("access", 0, round * 1000);
        marked.marks.push(mark("round", &round.to_string()));
        assert_eq!(backend.put(marked).await, Ok(()));
        acknowledged.push((round as u64, round * 1000));
        // Another write is under way while the files are copied: it is there whole or not at all.
        let under_way = backend.put(set("access", 1, 50_000));
        let left = snapshot(dir.path());
        assert_eq!(under_way.await, Ok(()));

        // Once as `sluice logs` finds it, once as the next server does.
        assert_eq!(
            stored(&Reader::open(left.path()).unwrap(), &place("access", 0)),
            acknowledged
        );
        let revived = embedded(left.path());
        let reader = Reader::open(left.path()).unwrap();
        assert_eq!(stored(&reader, &place("access", 0)), acknowledged);
        let other = stored(&reader, &place("access", 1)).len();
        assert!(
            other == round || other == round + 1,
            "{other} in round {round}"
        );
        let marks: Vec<Mark> = revived.marks().into_iter().map(|(mark, _)| mark).collect();
        assert_eq!(marks, [mark("round", &round.to_string())]);
    }
}

#[tokio::test]
async fn projects_that_contradict_themselves_are_refused() {
    let check = |change: fn(&mut ProjectConfig), is_it: fn(&ConfigError) -> bool| {
        let mut project = shop();
        change(&mut project);
        let refusal = Access::new(vec![project]).unwrap_err();
        assert!(is_it(&refusal), "{refusal}");
    };
    check(
        |project| project.keys.push(project.keys[0].clone()),
        |e| matches!(e, ConfigError::KeyTwice { .. }),
    );
    check(
        |project| project.keys[0].id.push('#'),
        |e| matches!(e, ConfigError::KeyUnusable { .. }),
    );
    check(
        |project| project.keys[0].secret = Secret::new(""),
        |e| matches!(e, ConfigError::KeyUnusable { .. }),
    );
    check(
        |project| project.logstores[0].shard_count = 0,
        |e| matches!(e, ConfigError::ShardCount { .. }),
    );
    check(
        |project| project.logstores[0].shard_count = 257,
        |e| matches!(e, ConfigError::ShardCount { .. }),
    );
    check(
        |project| project.logstores.push(project.logstores[0].clone()),
        |e| matches!(e, ConfigError::LogstoreTwice { .. }),
    );
}

#[tokio::test]
async fn what_retention_takes_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut brief = config(dir.path());
    brief.retention_bytes_max = 1000;
    let backend = Embedded::open(brief).unwrap();
    for _ in 0..4 {
        assert_eq!(backend.put(set("access", 0, 436)).await, Ok(()));
    }
    let expired = || backend.counters().expired_groups.load(Ordering::Relaxed);
    while expired() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        stored(&Reader::open(dir.path()).unwrap(), &place("access", 0)),
        [(2, 436), (3, 436)]
    );
    assert_eq!(expired(), 2);
}
