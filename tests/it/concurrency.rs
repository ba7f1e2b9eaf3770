//! Clients side by side on the same rows: a key has one winner, no update is lost, and a reader
//! sees each statement whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::join_all;
use rand::RngExt;
use tonic::{Code, Status};

use crate::client::Client;
use crate::random;
use crate::rows::{Value, single};
use crate::server::Server;

const CLIENTS: u64 = 8;
const SEED_VARIABLE: &str = "KALAMDB_CONCURRENCY_SEED";

/// Connections of their own, all root's.
async fn clients(server: &Server) -> Vec<Client> {
    let root = server.root().await;
    let connect = |_| Client::resume(server.flight(), root.token());
    join_all((0..CLIENTS).map(connect)).await.into_iter().map(Result::unwrap).collect()
}

/// Runs a statement until it is not in the way of others any more; answers the affected rows and
/// how often the server gave up in between.
async fn insist(client: &Client, sql: &str) -> (i64, u64) {
    let mut given_up = 0;
    loop {
        match client.update(sql).await {
            Ok(count) => return (count, given_up),
            Err(status) if status.code() == Code::Aborted => given_up += 1,
            Err(status) => panic!("{sql}: {status}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_has_one_winner() {
    let server = Server::start();
    let clients = clients(&server).await;
    clients[0].update("CREATE TABLE default.seats (id INT PRIMARY KEY, who INT)").await.unwrap();
    for round in 0..60 {
        let attempts = clients.iter().enumerate().map(|(who, client)| async move {
            // Several rows a statement, in another order each: all of them or none.
            let seat = round * 10;
            let rows: Vec<String> =
                (0..4).map(|offset| format!("({}, {who})", seat + (offset + who) % 4)).collect();
            client.update(&format!("INSERT INTO default.seats VALUES {}", rows.join(", "))).await
        });
        let answers: Vec<Result<i64, Status>> = join_all(attempts).await;
        let winners = answers.iter().filter(|answer| matches!(answer, Ok(4))).count();
        assert_eq!(winners, 1, "round {round}: {answers:?}");
        for refusal in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(refusal.code(), Code::InvalidArgument, "round {round}: {refusal}");
        }
    }
    let owners = "SELECT count(*) FROM (SELECT id / 10 AS block FROM default.seats GROUP BY id / 10 \
                  HAVING count(*) = 4 AND min(who) = max(who)) AS whole";
    assert_eq!(single(&clients[0].rows(owners).await.unwrap()), Value::Int(60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost() {
    const INCREMENTS: i64 = 60;
    let server = Server::start();
    let clients = clients(&server).await;
    let root = &clients[0];
    root.update("CREATE TABLE default.counters (id INT PRIMARY KEY, n INT)").await.unwrap();
    root.update("INSERT INTO default.counters VALUES (1, 0), (2, 0), (3, 0)").await.unwrap();
    let work = clients.iter().map(|client| async move {
        let mut given_up = 0;
        for turn in 0..INCREMENTS {
            // One row, or all of them.
            let condition = if turn % 3 == 0 { "id = 1" } else { "id > 0" };
            let sql = format!("UPDATE default.counters SET n = n + 1 WHERE {condition}");
            let (count, again) = insist(client, &sql).await;
            assert_eq!(count, if turn % 3 == 0 { 1 } else { 3 });
            given_up += again;
        }
        given_up
    });
    let given_up: u64 = join_all(work).await.into_iter().sum();
    let counters = root.rows("SELECT n FROM default.counters ORDER BY id").await.unwrap();
    let (all, most) = (CLIENTS as i64 * INCREMENTS, CLIENTS as i64 * INCREMENTS * 2 / 3);
    assert_eq!(counters, [[Value::Int(all)], [Value::Int(most)], [Value::Int(most)]]);
    println!("{given_up} statements were given up and sent again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_upsert_is_lost() {
    const TURNS: i64 = 60;
    let server = Server::start();
    let clients = clients(&server).await;
    let root = &clients[0];
    root.update("CREATE TABLE default.hits (id INT PRIMARY KEY, n BIGINT)").await.unwrap();
    let work = clients.iter().enumerate().map(|(who, client)| async move {
        for turn in 0..TURNS {
            // One key that all want, one of a few, and one that nobody else has.
            let own = 1_000 + who as i64 * TURNS + turn;
            let shared = 1 + (turn + who as i64) % 5;
            let sql = format!(
                "INSERT INTO default.hits AS t VALUES ({own}, 1), (0, 1), ({shared}, 1) \
                 ON CONFLICT (id) DO UPDATE SET n = t.n + 1"
            );
            assert_eq!(insist(client, &sql).await.0, 3);
        }
    });
    join_all(work).await;
    let all = CLIENTS as i64 * TURNS;
    let sums = "SELECT sum(CASE WHEN id = 0 THEN n END), \
                sum(CASE WHEN id BETWEEN 1 AND 5 THEN n END), \
                sum(CASE WHEN id >= 1000 THEN n END), count(*) FROM default.hits";
    let all = Value::Int(all);
    let count = Value::Int(CLIENTS as i64 * TURNS + 6);
    assert_eq!(root.rows(sums).await.unwrap(), [[all.clone(), all.clone(), all, count]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_statements_whole() {
    const ACCOUNTS: i64 = 40;
    const TRANSFERS: u64 = 60;
    let seed = random::seed(SEED_VARIABLE);
    let server = Server::start();
    let clients = clients(&server).await;
    let root = clients[0].clone();
    root.update("CREATE TABLE default.accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)")
        .await
        .unwrap();
    let rows: Vec<String> = (0..ACCOUNTS).map(|id| format!("({id}, 100)")).collect();
    root.update(&format!("INSERT INTO default.accounts VALUES {}", rows.join(", "))).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let (readers, writers) = clients.split_at(2);
    let reading = readers.iter().cloned().map(|client| {
        let done = done.clone();
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(Ordering::SeqCst) {
                let sql = "SELECT sum(balance), count(*) FROM default.accounts";
                let totals = client.rows(sql).await.unwrap();
                assert_eq!(totals, [[Value::Int(100 * ACCOUNTS), Value::Int(ACCOUNTS)]]);
                // The count alone is answered from counters, and must agree.
                let count = client.rows("SELECT count(*) FROM default.accounts").await.unwrap();
                assert_eq!(single(&count), Value::Int(ACCOUNTS));
                reads += 1;
            }
            reads
        })
    });
    let reading: Vec<_> = reading.collect();
    let writing = writers.iter().enumerate().map(|(number, client)| async move {
        let mut rng = random::generator(seed, number as u64);
        for _ in 0..TRANSFERS {
            let from = rng.random_range(0..ACCOUNTS);
            let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
            let amount = rng.random_range(1..50);
            let sql = format!(
                "UPDATE default.accounts SET balance = balance + \
                 CASE WHEN id = {from} THEN -{amount} ELSE {amount} END WHERE id IN ({from}, {to})"
            );
            assert_eq!(insist(client, &sql).await.0, 2, "{sql}");
        }
    });
    join_all(writing).await;
    done.store(true, Ordering::SeqCst);
    for reads in join_all(reading).await {
        assert!(reads.expect("every reader sees whole statements") > 0, "a reader that never read");
    }
}
