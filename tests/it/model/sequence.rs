//! One sequence: a table of its own, random statements on it, and its map.

use rand::RngExt;
use rand::rngs::StdRng;
use tonic::Code;

use super::shape::{SHAPES, Shape};
use super::step::Step;
use super::table::Table;
use super::{read, write};
use crate::client::Client;
use crate::random;

/// Principals that run statements: root and two users.
pub const ACTORS: usize = 3;
/// Statements before the restart, and as many after it.
const STEPS: std::ops::RangeInclusive<usize> = 4..=8;

/// A sequence between two of its phases.
pub struct Sequence {
    seed: u64,
    number: u64,
    shape: &'static Shape,
    name: String,
    rng: StdRng,
    /// What each actor sees: of a SHARED table only the first is used.
    tables: Vec<Table>,
    done: Vec<String>,
}

impl Sequence {
    /// The sequence of this number; shapes take turns.
    pub fn new(seed: u64, number: u64) -> Self {
        let shape = &SHAPES[number as usize % SHAPES.len()];
        Self {
            seed,
            number,
            shape,
            name: format!("model.t{number}"),
            rng: random::generator(seed, number),
            tables: (0..ACTORS).map(|_| Table::new(shape)).collect(),
            done: Vec::new(),
        }
    }

    /// Its number, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Statements run so far.
    pub fn statements(&self) -> usize {
        self.done.len()
    }

    /// Creates the table and runs the first statements.
    pub async fn begin(&mut self, actors: &[Client; ACTORS]) {
        let create = self.shape.create(&self.name);
        self.done.push(create.clone());
        if let Err(error) = actors[0].update(&create).await {
            self.fail(&format!("expected a new table, got {error}"));
        }
        self.statements_of_one_half(actors).await;
    }

    /// Checks what survived a restart, runs more statements, checks again; drops the table unless
    /// it is to be kept.
    pub async fn go_on(&mut self, actors: &[Client; ACTORS], keep: bool) {
        self.check(actors).await;
        self.statements_of_one_half(actors).await;
        self.check(actors).await;
        if keep {
            return;
        }
        let drop = format!("DROP TABLE {}", self.name);
        self.done.push(drop.clone());
        if let Err(error) = actors[0].update(&drop).await {
            self.fail(&format!("expected a dropped table, got {error}"));
        }
        let gone = actors[0].query(&format!("SELECT * FROM {}", self.name)).await;
        match gone {
            Err(error) if error.code() == Code::NotFound => {}
            other => self.fail(&format!("expected NotFound after the drop, got {other:?}")),
        }
    }

    /// Compares the whole contents and the row count, for every actor.
    pub async fn check(&mut self, actors: &[Client; ACTORS]) {
        let seen_by = if self.shape.per_user { ACTORS } else { 1 };
        for actor in 0..seen_by {
            let contents = read::contents(&self.name, &self.tables[actor]);
            self.run(contents, actor, actors).await;
            let count = read::count(&self.name, &self.tables[actor]);
            self.run(count, actor, actors).await;
        }
    }

    async fn statements_of_one_half(&mut self, actors: &[Client; ACTORS]) {
        for _ in 0..self.rng.random_range(STEPS) {
            let actor = if self.shape.per_user { self.rng.random_range(0..ACTORS) } else { 0 };
            let table = &mut self.tables[actor];
            let step = match self.rng.random_bool(0.6) {
                true => write::random(&mut self.rng, &self.name, table),
                false => read::random(&mut self.rng, &self.name, table),
            };
            self.run(step, actor, actors).await;
        }
    }

    async fn run(&mut self, step: Step, actor: usize, actors: &[Client; ACTORS]) {
        self.done.push(format!("[{actor}] {}", step.describe()));
        if let Err(fault) = step.run(&actors[actor]).await {
            self.fail(&fault);
        }
    }

    fn fail(&self, fault: &str) -> ! {
        let statements = self.done.join("\n  ");
        panic!("seed {}, sequence {}:\n  {statements}\n{fault}", self.seed, self.number);
    }
}
