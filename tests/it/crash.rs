//! `kill -9` at random moments under eight writers: after every restart each acknowledged statement
//! is there whole, and of the one statement a writer had no answer for, all or nothing.

mod ledger;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::RngExt;

use crate::client::Client;
use crate::random;
use crate::rows::{Value, single};
use crate::server::Server;
use ledger::Ledger;
use writer::Writer;

/// Writers that run side by side.
const WRITERS: u64 = 8;
/// Rounds unless [`ROUNDS_VARIABLE`] says otherwise; `make crash` says 50.
const ROUNDS_DEFAULT: u64 = 5;
const ROUNDS_VARIABLE: &str = "KALAMDB_CRASH_ROUNDS";
const SEED_VARIABLE: &str = "KALAMDB_CRASH_SEED";
/// All rounds together must be done within this.
const TIME_MAX: Duration = Duration::from_secs(300);
/// A kill comes this many milliseconds after the writers have begun.
const KILL_AFTER_MS: std::ops::Range<u64> = 30..1500;
/// In one of this many rounds the recovering server is killed as well.
const KILL_IN_RECOVERY_ONE_IN: u32 = 3;
/// A kill during recovery comes this many milliseconds after the start.
const KILL_IN_RECOVERY_AFTER_MS: std::ops::Range<u64> = 0..400;
/// Writers notice a dead server within this.
const NOTICE_WITHIN: Duration = Duration::from_secs(30);
const PASSWORD: &str = "a-writer-of-the-crash-test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_lose_nothing_acknowledged_and_show_nothing_partial() {
    let seed = random::seed(SEED_VARIABLE);
    let rounds = random::number(ROUNDS_VARIABLE).unwrap_or(ROUNDS_DEFAULT);
    let mut rng = random::generator(seed, 0);
    let started = Instant::now();
    let mut server = Server::start();
    let tokens = set_up(&server).await;
    let mut ledgers: Vec<Ledger> = (0..WRITERS).map(|_| Ledger::default()).collect();
    let (mut acknowledged, mut kept, mut vanished, mut counter) = (0, 0, 0, 0);
    for round in 0..rounds {
        let delay = Duration::from_millis(rng.random_range(KILL_AFTER_MS));
        ledgers = write_until_killed(&mut server, &tokens, ledgers, seed, round, delay).await;
        acknowledged += ledgers.iter_mut().map(Ledger::take_acknowledged).sum::<u64>();
        if rng.random_ratio(1, KILL_IN_RECOVERY_ONE_IN) {
            let delay = rng.random_range(KILL_IN_RECOVERY_AFTER_MS);
            server.start_and_kill(Duration::from_millis(delay));
        }
        server.restart();
        for ((number, ledger), token) in (0..).zip(&mut ledgers).zip(&tokens) {
            let client = resume(&server, token).await;
            let stored = ledger::read(&client, number).await;
            match ledger.settle(stored) {
                Ok(Some(true)) => kept += 1,
                Ok(Some(false)) => vanished += 1,
                Ok(None) => {}
                Err(fault) => panic!("round {round} (seed {seed}), writer {number}: {fault}"),
            }
        }
        counter = check_counter(&server, &mut ledgers, counter).await;
        check_counts(&server, &tokens, &ledgers).await;
        let elapsed = started.elapsed();
        assert!(elapsed < TIME_MAX, "{} of {rounds} rounds took {elapsed:?}", round + 1);
    }
    println!(
        "{rounds} rounds in {:?}: {acknowledged} statements acknowledged, none lost; \
         of those without an answer {kept} are there whole, {vanished} not at all; \
         the common counter stands at {counter}",
        started.elapsed()
    );
    assert!(acknowledged >= rounds * WRITERS, "only {acknowledged} statements were acknowledged");
}

/// Creates tables and writers; answers the writers' tokens, which outlive restarts.
async fn set_up(server: &Server) -> Vec<String> {
    let root = server.root().await;
    root.update("CREATE NAMESPACE crash").await.unwrap();
    for table in ledger::TABLES {
        root.update(table).await.unwrap();
    }
    root.update("INSERT INTO crash.counter VALUES (1, 0)").await.unwrap();
    let mut tokens = Vec::new();
    for number in 0..WRITERS {
        let user = format!("writer_{number}");
        let sql = format!("CREATE USER '{user}' WITH PASSWORD '{PASSWORD}' ROLE service");
        root.update(&sql).await.unwrap();
        let writer = server.sign_in(&user, PASSWORD).await.unwrap();
        tokens.push(writer.token().to_owned());
    }
    tokens
}

/// Lets all writers run for `delay`, kills the server, and answers the ledgers as they were when
/// each writer lost its connection.
async fn write_until_killed(
    server: &mut Server,
    tokens: &[String],
    ledgers: Vec<Ledger>,
    seed: u64,
    round: u64,
    delay: Duration,
) -> Vec<Ledger> {
    let killed = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for ((number, ledger), token) in (0..).zip(ledgers).zip(tokens) {
        let client = resume(server, token).await;
        let rng = random::generator(seed, 1 + round * WRITERS + number);
        let writer = Writer::new(number, client, ledger, rng, killed.clone());
        tasks.push(tokio::spawn(writer.run()));
    }
    // Not a wait for anything: the moment of the kill is what the test is about.
    tokio::time::sleep(delay).await;
    killed.store(true, Ordering::SeqCst);
    server.kill();
    let ended = tokio::time::timeout(NOTICE_WITHIN, join_all(tasks)).await;
    let ended = ended.expect("writers notice that the server is gone");
    ended.into_iter().map(|ledger| ledger.expect("the writer's statements succeed")).collect()
}

/// No acknowledged increment of the common counter is lost, and none is there twice; answers where
/// it stands.
async fn check_counter(server: &Server, ledgers: &mut [Ledger], before: i64) -> i64 {
    let (mut least, mut most) = (before, before);
    for counted in ledgers.iter_mut().map(Ledger::take_counted) {
        least += counted.surely;
        most += counted.surely + counted.perhaps;
    }
    let counter = server.root().await.rows("SELECT n FROM crash.counter").await.unwrap();
    let Value::Int(counter) = single(&counter) else { panic!("{counter:?}") };
    assert!((least..=most).contains(&counter), "the counter is {counter}, not {least} to {most}");
    counter
}

/// The row counts the server keeps are those of the rows it stores.
async fn check_counts(server: &Server, tokens: &[String], ledgers: &[Ledger]) {
    let root = server.root().await;
    for table in ["crash.rows", "crash.loose", "crash.groups"] {
        let expected: usize = ledgers.iter().map(|ledger| ledger.len(table)).sum();
        let counted = root.rows(&format!("SELECT count(*) FROM {table}")).await.unwrap();
        assert_eq!(single(&counted), Value::Int(expected as i64), "count(*) of {table}");
    }
    for ((number, ledger), token) in (0..).zip(ledgers).zip(tokens) {
        let client = resume(server, token).await;
        let counted = client.rows("SELECT count(*) FROM crash.own").await.unwrap();
        let expected = ledger.len("crash.own") as i64;
        assert_eq!(single(&counted), Value::Int(expected), "count(*) of writer {number}'s own");
    }
}

async fn resume(server: &Server, token: &str) -> Client {
    Client::resume(server.flight(), token).await.expect("the server accepts connections")
}
