//! Small statements through a Flight SQL client in Rust, which costs a tenth of what one in Python
//! does: reads by key, and durable single-row inserts of one client and of many.
//!
//! `small_statements <host:port> <user> <table> <rows>`, the password in `KALAMDB_PASSWORD`: reads
//! `<table>`, whose key `id` counts from 0 to `<rows>`, and inserts into `<table>_inserts (id
//! BIGINT PRIMARY KEY, v TEXT)`. Prints one JSON object; times in milliseconds, rates a second.

#![allow(clippy::expect_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow_flight::FlightData;
use arrow_flight::FlightDescriptor;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandStatementUpdate, ProstMessageExt};
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::transport::{Channel, Endpoint};

/// Statements of each kind, one after the other, before and while the clock runs.
const WARM_UP: usize = 100;
const ROUNDS: usize = 1_000;
/// Clients that insert at the same time, and for how long.
const CLIENTS: usize = 16;
const INSERTING: Duration = Duration::from_secs(5);
/// Keys are spread over the table in this stride.
const STRIDE: usize = 7919;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Target {
    address: String,
    user: String,
    password: String,
    table: String,
    rows: usize,
    /// The next key to insert.
    next: AtomicU64,
}

impl Target {
    fn from_command_line() -> Result<Self, Failure> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [address, user, table, rows] = arguments.as_slice() else {
            return Err("usage: small_statements <host:port> <user> <table> <rows>".into());
        };
        Ok(Self {
            address: address.clone(),
            user: user.clone(),
            password: std::env::var("KALAMDB_PASSWORD")?,
            table: table.clone(),
            rows: rows.parse()?,
            next: AtomicU64::new(0),
        })
    }

    async fn client(&self) -> Result<FlightSqlServiceClient<Channel>, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))?;
        let channel = endpoint.tcp_nodelay(true).connect().await?;
        let mut client = FlightSqlServiceClient::new(channel);
        client.handshake(&self.user, &self.password).await?;
        Ok(client)
    }

    fn insert(&self) -> String {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        format!("INSERT INTO {}_inserts VALUES ({id}, 'x')", self.table)
    }
}

async fn query(client: &mut FlightSqlServiceClient<Channel>, sql: String) -> Result<(), Failure> {
    let info = client.execute(sql, None).await?;
    for endpoint in info.endpoint {
        let ticket = endpoint.ticket.ok_or("an endpoint without a ticket")?;
        client.do_get(ticket).await?.try_for_each(|_| async { Ok(()) }).await?;
    }
    Ok(())
}

async fn update(client: &mut FlightSqlServiceClient<Channel>, sql: String) -> Result<(), Failure> {
    let command = CommandStatementUpdate { query: sql, transaction_id: None };
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let message = FlightData { flight_descriptor: Some(descriptor), ..Default::default() };
    client.do_put(stream::iter([message])).await?.message().await?.ok_or("no answer")?;
    Ok(())
}

/// The median time of statements of one kind, run one after the other, in milliseconds.
async fn median_ms(
    client: &mut FlightSqlServiceClient<Channel>,
    mut statement: impl FnMut(usize) -> (bool, String),
) -> Result<f64, Failure> {
    let mut taken = Vec::with_capacity(ROUNDS);
    for round in 0..WARM_UP + ROUNDS {
        let (writes, sql) = statement(round);
        let begin = Instant::now();
        match writes {
            true => update(client, sql).await?,
            false => query(client, sql).await?,
        }
        if round >= WARM_UP {
            taken.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken[ROUNDS / 2])
}

/// Rows a second that so many clients insert together, one row a statement.
async fn insert_rate(target: &Arc<Target>, clients: usize) -> Result<f64, Failure> {
    let mut signed_in = Vec::new();
    for _ in 0..clients {
        signed_in.push(target.client().await?);
    }
    let begin = Instant::now();
    let tasks: Vec<_> = signed_in
        .into_iter()
        .map(|mut client| {
            let target = Arc::clone(target);
            tokio::spawn(async move {
                let mut rows = 0_u64;
                while begin.elapsed() < INSERTING {
                    update(&mut client, target.insert()).await?;
                    rows += 1;
                }
                Ok::<_, Failure>(rows)
            })
        })
        .collect();
    let mut rows = 0;
    for task in tasks {
        rows += task.await??;
    }
    Ok(rows as f64 / begin.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let target = Arc::new(Target::from_command_line()?);
    let mut client = target.client().await?;
    let create = format!("CREATE TABLE {}_inserts (id BIGINT PRIMARY KEY, v TEXT)", target.table);
    update(&mut client, create).await?;
    let (table, rows) = (target.table.as_str(), target.rows.max(1));
    let one = median_ms(&mut client, |i| (false, format!("SELECT 1 AS one, {i} AS i"))).await?;
    let lookup = median_ms(&mut client, |i| {
        (false, format!("SELECT * FROM {table} WHERE id = {}", i * STRIDE % rows))
    })
    .await?;
    let limit =
        median_ms(&mut client, |_| (false, format!("SELECT * FROM {table} LIMIT 10"))).await?;
    let insert = median_ms(&mut client, |_| (true, target.insert())).await?;
    let figures = serde_json::json!({
        "select_1_ms": one,
        "key_lookup_ms": lookup,
        "limit_10_ms": limit,
        "insert_ms": insert,
        "inserts_a_second_1": insert_rate(&target, 1).await?,
        "inserts_a_second_16": insert_rate(&target, CLIENTS).await?,
    });
    println!("{figures}");
    Ok(())
}
