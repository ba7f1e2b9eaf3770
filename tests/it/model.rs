//! Random sequences of statements against an in-memory map: every answer, every affected-row count
//! and every refusal must be the map's, through restarts, for every shape of table.

mod predicate;
mod read;
mod sequence;
mod shape;
mod step;
mod table;
mod write;

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, stream};

use crate::client::{self, Client};
use crate::random;
use crate::server::Server;
use sequence::{ACTORS, Sequence};

/// Sequences unless [`SEQUENCES_VARIABLE`] says otherwise.
const SEQUENCES_DEFAULT: u64 = 1_040;
const SEQUENCES_VARIABLE: &str = "KALAMDB_MODEL_SEQUENCES";
const SEED_VARIABLE: &str = "KALAMDB_MODEL_SEED";
/// Sequences between two restarts; each of them lives through one.
const SEQUENCES_PER_RESTART: u64 = 130;
/// Connections that run sequences side by side.
const CONNECTIONS: usize = 6;
/// Of this many tables one is kept until the end, the others are dropped.
const KEPT_ONE_IN: u64 = 8;
const PASSWORD: &str = "an-actor-of-the-model-test";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_statements_answer_as_a_map_would() {
    let seed = random::seed(SEED_VARIABLE);
    let count = random::number(SEQUENCES_VARIABLE).unwrap_or(SEQUENCES_DEFAULT);
    let started = Instant::now();
    let mut server = Server::start();
    let tokens = set_up(&server).await;
    let mut kept = Vec::new();
    let mut restarts = 0;
    let mut statements = 0;
    for first in (0..count).step_by(SEQUENCES_PER_RESTART as usize) {
        let numbers = first..count.min(first + SEQUENCES_PER_RESTART);
        let sequences = numbers.map(|number| Sequence::new(seed, number)).collect();
        let sequences = on_connections(&server, &tokens, sequences, Phase::Begin).await;
        restart(&mut server, &mut restarts);
        let sequences = on_connections(&server, &tokens, sequences, Phase::GoOn).await;
        statements += sequences.iter().map(Sequence::statements).sum::<usize>();
        kept.extend(sequences.into_iter().filter(|sequence| sequence.number() % KEPT_ONE_IN == 0));
    }
    restart(&mut server, &mut restarts);
    let kept = on_connections(&server, &tokens, kept, Phase::Check).await;
    println!(
        "{count} sequences, {statements} statements, {restarts} restarts, {} tables to the end, {:?}",
        kept.len(),
        started.elapsed()
    );
    assert!(server.terminate().success(), "SIGTERM ends the server with 0");
}

/// What is done with each sequence.
#[derive(Clone, Copy)]
enum Phase {
    /// Create the table, run the first half of the statements.
    Begin,
    /// Check what survived, run the second half, check again, drop most tables.
    GoOn,
    /// Check the contents once more.
    Check,
}

/// Creates the namespace and the actors; answers the actors' tokens, which outlive restarts.
async fn set_up(server: &Server) -> Arc<[String; ACTORS]> {
    let root = server.root().await;
    root.update("CREATE NAMESPACE model").await.unwrap();
    let mut tokens = [root.token().to_owned(), String::new(), String::new()];
    for (token, name) in tokens.iter_mut().skip(1).zip(["ann", "bea"]) {
        let sql = format!("CREATE USER '{name}' WITH PASSWORD '{PASSWORD}' ROLE user");
        root.update(&sql).await.unwrap();
        *token = server.sign_in(name, PASSWORD).await.unwrap().token().to_owned();
    }
    Arc::new(tokens)
}

/// By turns the polite and the impolite way.
fn restart(server: &mut Server, restarts: &mut u64) {
    if restarts.is_multiple_of(2) {
        server.kill();
    } else {
        assert!(server.terminate().success(), "SIGTERM ends the server with 0");
    }
    server.restart();
    *restarts += 1;
}

/// Takes every sequence through one phase, several side by side.
async fn on_connections(
    server: &Server,
    tokens: &Arc<[String; ACTORS]>,
    sequences: Vec<Sequence>,
    phase: Phase,
) -> Vec<Sequence> {
    let mut shares: Vec<Vec<Sequence>> = (0..CONNECTIONS).map(|_| Vec::new()).collect();
    for (position, sequence) in sequences.into_iter().enumerate() {
        shares[position % CONNECTIONS].push(sequence);
    }
    let address = server.flight();
    let tasks = shares.into_iter().map(|share| {
        let tokens = tokens.clone();
        tokio::spawn(async move {
            let channel = client::connect(address).await.expect("the server accepts connections");
            let actors = tokens.each_ref().map(|t| Client::with_token(channel.clone(), t.clone()));
            let mut done = Vec::with_capacity(share.len());
            for mut sequence in share {
                match phase {
                    Phase::Begin => sequence.begin(&actors).await,
                    Phase::GoOn => {
                        let keep = sequence.number() % KEPT_ONE_IN == 0;
                        sequence.go_on(&actors, keep).await;
                    }
                    Phase::Check => sequence.check(&actors).await,
                }
                done.push(sequence);
            }
            done
        })
    });
    let done = stream::iter(tasks).buffer_unordered(CONNECTIONS).collect::<Vec<_>>().await;
    done.into_iter().flat_map(|share| share.expect("every sequence agrees with the map")).collect()
}
