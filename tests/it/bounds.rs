//! What one client may take from the others: connections, snapshots kept for a reader that has
//! stopped, the last of the disk, a user's way in.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tonic::{Code, Status};

use crate::client::{Client, connect_from, handshake};
use crate::rows::{Value, single};
use crate::server::{ROOT_PASSWORD, Server};

/// How long what must happen may take on a busy machine; all limits set here are far below.
const SOON: Duration = Duration::from_secs(30);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Another address of this machine than the one clients have by themselves.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
/// The beginning of HTTP/2: the preface and an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < SOON, "{what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn silent(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.flight()).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Reads until the server closes the connection, or fails.
fn assert_closed(mut stream: TcpStream, what: &str) {
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("{what} is not closed: {error}"),
        }
    }
}

fn code<T>(answer: Result<T, Status>) -> Option<Code> {
    answer.err().map(|status| status.code())
}

async fn sign_in_from(address: SocketAddr, own: IpAddr, password: &str) -> Result<Client, Status> {
    let channel = connect_from(address, Some(own)).await?;
    let token = handshake(channel.clone(), "root", password).await?;
    Ok(Client::with_token(channel, token))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_bounded_altogether_and_by_peer() {
    for bound in ["--max-connections", "--max-connections-per-peer"] {
        let server = Server::start_with(&[bound, "3", "--first-call-seconds", "600"]);
        let mut open: Vec<_> = (0..3).map(|_| silent(&server)).collect();
        let connections = || server.metric("kalamdb_connections_open");
        wait_until("three are let in", || connections() == Some(3.0)).await;
        assert_closed(silent(&server), "the fourth connection");
        assert_eq!(connections(), Some(3.0), "{bound}: those before it stay");
        let other_peer = sign_in_from(server.flight(), ELSEWHERE, ROOT_PASSWORD).await;
        assert_eq!(other_peer.is_ok(), bound == "--max-connections-per-peer", "{bound}");
        drop(other_peer);
        open.pop();
        wait_until("a place is free again", || connections() == Some(2.0)).await;
        server.root().await.query("SELECT 1").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_calls_is_let_go_and_one_that_has_called_stays() {
    let server = Server::start_with(&["--first-call-seconds", "1"]);
    let client = server.root().await;
    let mut spoke_http2 = silent(&server);
    spoke_http2.write_all(PREFACE).unwrap();
    assert_closed(silent(&server), "a connection without a word");
    assert_closed(spoke_http2, "a connection without a call");
    // The client's time is over as well by now, and it is idle.
    let only_the_client = || server.metric("kalamdb_connections_open") == Some(1.0);
    wait_until("the silent ones are gone", only_the_client).await;
    client.query("SELECT 1").await.unwrap();
    assert!(only_the_client());
}

#[test]
fn a_peer_that_has_vanished_is_noticed() {
    let server = Server::start_with(&["--keepalive-seconds", "1", "--first-call-seconds", "600"]);
    let mut vanished = silent(&server);
    vanished.write_all(PREFACE).unwrap();
    // It goes on reading here, but answers nothing, as if it were gone.
    assert_closed(vanished, "a connection whose peer answers no ping");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_is_told_when_it_comes_back() {
    let server = Server::start_with(&["--stall-seconds", "1"]);
    let root = server.root().await;
    let mut sql = root.sql();
    let series = "SELECT * FROM generate_series(1, 4000000)".to_owned();
    let info = sql.execute(series, None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut stream = sql.do_get(ticket).await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().num_rows();
    let ended = || server.metric("kalamdb_clients_stalled_total") == Some(1.0);
    wait_until("a result that nobody reads is ended", ended).await;
    let error = loop {
        match stream.next().await.expect("a result that was ended does not just end") {
            Ok(batch) => rows += batch.num_rows(),
            Err(error) => break error,
        }
    };
    assert!(rows < 4_000_000);
    let arrow_flight::error::FlightError::Tonic(status) = error else { panic!("{error}") };
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    root.query("SELECT 1").await.expect("the connection is as good as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_keeps_its_state_for_a_while_only() {
    let server = Server::start_with(&["--view-age-seconds", "2"]);
    let root = server.root().await;
    let info = root.sql().execute("SELECT 1".to_owned(), None).await.unwrap();
    root.fetch(info.clone()).await.expect("a fresh ticket");
    let started = Instant::now();
    // Redeeming it again and again does not keep it.
    let refused = loop {
        match root.fetch(info.clone()).await {
            Ok(_) => assert!(started.elapsed() < SOON, "the ticket is good for ever"),
            Err(status) => break status,
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    assert!([Code::NotFound, Code::DeadlineExceeded].contains(&refused.code()), "{refused}");
    root.query("SELECT 1").await.expect("a new ticket");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_almost_full_disk_refuses_rows_and_nothing_else() {
    let mut server = Server::start();
    let root = server.root().await;
    root.update("CREATE TABLE default.kept (id BIGINT PRIMARY KEY, n INT)").await.unwrap();
    root.update("INSERT INTO default.kept VALUES (1, 1), (2, 2)").await.unwrap();
    assert!(server.terminate().success());
    // No disk has that much room.
    server.restart_with(&["--free-space-floor-bytes", "18446744073709551615"]);
    let root = server.root().await;
    for sql in [
        "INSERT INTO default.kept VALUES (3, 3)",
        "UPDATE default.kept SET n = 7 WHERE id = 1",
        "DELETE FROM default.kept",
    ] {
        let refused = root.update(sql).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{sql}: {refused}");
        assert!(refused.message().contains("bytes free"), "{refused}");
    }
    let count = "SELECT count(*) FROM default.kept";
    assert_eq!(single(&root.rows(count).await.unwrap()), Value::Int(2));
    root.update("CREATE TABLE default.gone (id BIGINT)").await.unwrap();
    root.update("DROP TABLE default.gone").await.unwrap();
    assert!(server.terminate().success());
    server.restart_with(&[]);
    let root = server.root().await;
    root.update("INSERT INTO default.kept VALUES (3, 3)").await.unwrap();
    assert_eq!(single(&root.rows(count).await.unwrap()), Value::Int(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_guesses_passwords_locks_out_nobody_but_himself() {
    const GUESSES: usize = 10;
    let server = Server::start();
    for _ in 0..GUESSES {
        let guess = sign_in_from(server.flight(), ELSEWHERE, "wrong").await;
        assert_eq!(code(guess), Some(Code::Unauthenticated));
    }
    let right = sign_in_from(server.flight(), ELSEWHERE, ROOT_PASSWORD).await;
    assert_eq!(code(right), Some(Code::ResourceExhausted), "he may not guess on");
    let root = server.root().await;
    root.query("SELECT 1").await.unwrap();
    // A token is not a guess.
    let channel = connect_from(server.flight(), Some(ELSEWHERE)).await.unwrap();
    let resumed = Client::with_token(channel, root.token().to_owned());
    resumed.query("SELECT 1").await.unwrap();
}
