//! Who sees what: USER tables never cross users, listings show only what the principal may see,
//! roles bound what statements do, and changes of users take effect at once.

use arrow_flight::sql::{CommandGetDbSchemas, CommandGetPrimaryKeys, CommandGetTables};
use tonic::{Code, Status};

use crate::client::{Client, ingest_command};
use crate::rows::{Row, Value, first_column, rows, single};
use crate::server::Server;

const PASSWORD: &str = "a-user-of-the-isolation-test";
/// Names that begin with one another, differ in case only, or would be patterns or escapes.
const LIKE_NAMES: [&str; 8] = ["ann", "anna", "an", "Ann", "ann%", "a'nn", "änn", "ann ann"];
/// Refusals that do not tell more than they should.
const HIDDEN: [Code; 2] = [Code::NotFound, Code::PermissionDenied];

async fn create_user(root: &Client, server: &Server, name: &str, role: &str) -> Client {
    let name_in_sql = name.replace('\'', "''");
    let sql = format!("CREATE USER '{name_in_sql}' WITH PASSWORD '{PASSWORD}' ROLE {role}");
    root.update(&sql).await.unwrap();
    server.sign_in(name, PASSWORD).await.unwrap()
}

fn assert_code<T: std::fmt::Debug>(what: &str, answer: Result<T, Status>, expected: &[Code]) {
    match answer {
        Err(status) if expected.contains(&status.code()) => {}
        other => panic!("{what}: expected {expected:?}, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn user_tables_never_cross_users() {
    let server = Server::start();
    let root = server.root().await;
    root.update("CREATE USER TABLE default.notes (id INT PRIMARY KEY, body TEXT)").await.unwrap();
    root.update("CREATE USER TABLE default.lines (body TEXT)").await.unwrap();
    let mut users = vec![("root".to_owned(), root.clone())];
    for (name, role) in LIKE_NAMES.into_iter().zip(["user", "service", "dba"].into_iter().cycle()) {
        users.push((name.to_owned(), create_user(&root, &server, name, role).await));
    }
    // Everybody writes the same keys.
    for (name, client) in &users {
        let body = name.replace('\'', "''");
        let values = format!("(1, '{body}'), (2, '{body}'), (-3, '{body}')");
        client.update(&format!("INSERT INTO default.notes VALUES {values}")).await.unwrap();
        client.update(&format!("INSERT INTO default.lines VALUES ('{body}')")).await.unwrap();
    }
    for (name, client) in &users {
        assert_eq!(bodies(client, "SELECT body FROM default.notes").await, vec![name.clone(); 3]);
        let all = "SELECT body FROM default.notes WHERE id > -100 OR body LIKE '%' OR true";
        assert_eq!(bodies(client, all).await, vec![name.clone(); 3]);
        let newest = "SELECT body FROM default.notes ORDER BY id DESC LIMIT 100";
        assert_eq!(bodies(client, newest).await, vec![name.clone(); 3]);
        let joined = "SELECT a.body FROM default.lines a JOIN default.notes b ON true";
        assert_eq!(bodies(client, joined).await, vec![name.clone(); 3]);
        for table in ["default.notes", "default.lines"] {
            let count = client.rows(&format!("SELECT count(*) FROM {table}")).await.unwrap();
            assert_eq!(single(&count), Value::Int(if table == "default.notes" { 3 } else { 1 }));
        }
    }
    // One user changes and deletes everything they can reach.
    let (changer, others) = users.split_first().unwrap();
    assert_eq!(changer.1.update("UPDATE default.notes SET body = 'changed'").await.unwrap(), 3);
    assert_eq!(changer.1.update("DELETE FROM default.notes WHERE id <> 1").await.unwrap(), 2);
    assert_eq!(changer.1.update("DELETE FROM default.lines").await.unwrap(), 1);
    for (name, client) in others {
        assert_eq!(bodies(client, "SELECT body FROM default.notes").await, vec![name.clone(); 3]);
        assert_eq!(bodies(client, "SELECT body FROM default.lines").await, vec![name.clone()]);
        let deleted = client.rows("SELECT id FROM default.notes WHERE _deleted").await.unwrap();
        assert_eq!(deleted, Vec::<Row>::new(), "{name} sees rows that others deleted");
    }
    // What a change gives back is the writer's own, and what is in the way of a key too.
    for (name, client) in others {
        let upsert = "INSERT INTO default.notes AS n VALUES (1, 'new'), (7, 'new') \
                      ON CONFLICT DO UPDATE SET body = n.body RETURNING body";
        assert_eq!(bodies(client, upsert).await, [name.as_str(), "new"]);
        let returned = bodies(client, "DELETE FROM default.notes WHERE id = 7 RETURNING body");
        assert_eq!(returned.await, ["new"]);
        let returned = bodies(client, "UPDATE default.lines SET body = body RETURNING body");
        assert_eq!(returned.await, [name.as_str()]);
    }
}

async fn bodies(client: &Client, sql: &str) -> Vec<String> {
    first_column(&client.rows(sql).await.unwrap())
}

/// The namespaces and tables of the listing tests.
async fn set_up_listings(root: &Client) {
    for sql in [
        "CREATE NAMESPACE open",
        "CREATE NAMESPACE vault",
        "CREATE TABLE open.everyone (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'public')",
        "CREATE TABLE open.staff (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'private')",
        "CREATE USER TABLE open.own (id INT PRIMARY KEY)",
        "CREATE TABLE vault.staffonly (id INT PRIMARY KEY) WITH (ACCESS_LEVEL = 'private')",
        "CREATE TABLE vault.hidden (id INT PRIMARY KEY, riddle TEXT) \
         WITH (ACCESS_LEVEL = 'restricted')",
    ] {
        root.update(sql).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_show_only_what_the_principal_may_see() {
    let server = Server::start();
    let root = server.root().await;
    set_up_listings(&root).await;
    let seen_by: [(&str, &[&str]); 3] = [
        ("user", &["open.everyone", "open.own"]),
        ("service", &["open.everyone", "open.own", "open.staff", "vault.staffonly"]),
        ("dba", &["open.everyone", "open.own", "open.staff", "vault.hidden", "vault.staffonly"]),
    ];
    let mut principals = Vec::new();
    for (role, expected) in seen_by {
        let client = create_user(&root, &server, &format!("the {role}"), role).await;
        principals.push((role, client, expected));
    }
    // Twice over, in turns: an answer kept for one principal must not be given to another.
    for _ in 0..2 {
        for (role, client, expected) in &principals {
            check_listings(role, client, expected).await;
        }
    }
}

async fn check_listings(role: &str, client: &Client, expected: &[&str]) {
    let ours = "table_schema IN ('open', 'vault')";
    let qualified = "table_schema || '.' || table_name";
    let tables =
        format!("SELECT {qualified} FROM information_schema.tables WHERE {ours} ORDER BY 1");
    assert_eq!(bodies(client, &tables).await, expected, "information_schema.tables of {role}");
    let columns = format!(
        "SELECT DISTINCT {qualified} FROM information_schema.columns WHERE {ours} ORDER BY 1"
    );
    assert_eq!(bodies(client, &columns).await, expected, "information_schema.columns of {role}");

    let get = CommandGetTables { include_schema: true, ..Default::default() };
    let info = client.sql().get_tables(get).await.unwrap();
    let listed = rows(&client.fetch(info).await.unwrap());
    let mut listed: Vec<String> = listed
        .iter()
        .filter(|row| row[1] == Value::from("open") || row[1] == Value::from("vault"))
        .map(|row| format!("{}.{}", plain(&row[1]), plain(&row[2])))
        .collect();
    listed.sort();
    assert_eq!(listed, expected, "GetTables of {role}");

    let users = client.rows("SELECT user_name FROM system.users").await;
    if role == "user" {
        assert_eq!(first_column(&users.unwrap()), ["the user"], "system.users of {role}");
    }

    let vault = expected.iter().any(|name| name.starts_with("vault."));
    let info = client.sql().get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    let schemas = rows(&client.fetch(info).await.unwrap());
    assert_eq!(has(&schemas, 1, "vault"), vault, "GetDbSchemas of {role}: {schemas:?}");
    assert!(has(&schemas, 1, "open"), "GetDbSchemas of {role}: {schemas:?}");
    let namespaces = client.rows("SHOW NAMESPACES").await.unwrap();
    assert_eq!(has(&namespaces, 0, "vault"), vault, "SHOW NAMESPACES of {role}: {namespaces:?}");

    let sees_hidden = expected.contains(&"vault.hidden");
    let keys = CommandGetPrimaryKeys {
        catalog: None,
        db_schema: Some("vault".into()),
        table: "hidden".into(),
    };
    let keys = async {
        let info = client.sql().get_primary_keys(keys).await.map_err(|error| match error {
            arrow_flight::error::FlightError::Tonic(status) => *status,
            other => panic!("{other}"),
        })?;
        Ok::<_, Status>(rows(&client.fetch(info).await?))
    };
    match keys.await {
        Ok(keys) => assert_eq!(!keys.is_empty(), sees_hidden, "GetPrimaryKeys of {role}"),
        Err(status) => assert!(!sees_hidden && status.code() == Code::NotFound, "{status}"),
    }
    check_descriptions(role, client, expected).await;
    // A near miss must not be answered by the name of what is hidden.
    for near in ["SELECT * FROM vault.hiddem", "SELECT * FROM vault.staffonlx"] {
        let error = client.query(near).await.unwrap_err();
        let hidden = ["hidden", "staffonly", "riddle"];
        let told: Vec<_> = hidden.iter().filter(|name| error.message().contains(**name)).collect();
        let may_know = |name: &str| expected.iter().any(|known| known.ends_with(name));
        assert!(told.iter().all(|name| may_know(name)), "{role} is told {told:?}: {error}");
    }
}

/// SHOW, DESCRIBE, queries and changes say of what one may not read just what they say of what is not there.
async fn check_descriptions(role: &str, client: &Client, expected: &[&str]) {
    for namespace in ["open", "vault"] {
        let of_namespace = expected.iter().filter_map(|name| name.strip_prefix(namespace));
        let tables: Vec<&str> = of_namespace.filter_map(|name| name.strip_prefix('.')).collect();
        let answer = client.rows(&format!("SHOW TABLES IN {namespace}")).await;
        if tables.is_empty() {
            let absent = client.rows("SHOW TABLES IN nowhere").await.unwrap_err();
            let hidden = answer.unwrap_err();
            assert_eq!(hidden.code(), absent.code(), "{role}: {hidden}");
            assert_eq!(hidden.message(), absent.message().replace("nowhere", namespace));
        } else {
            let rows = answer.unwrap();
            let listed: Vec<&str> = rows.iter().map(|row| plain(&row[1])).collect();
            assert_eq!(listed, tables, "SHOW TABLES IN {namespace} of {role}");
        }
    }
    // A service may read a restricted table, though no listing shows it.
    let may_read = |table: &str| role != "user" || expected.contains(&table);
    for table in ["open.everyone", "open.own", "open.staff", "vault.staffonly", "vault.hidden"] {
        for verb in ["DESCRIBE", "SHOW COLUMNS FROM", "SHOW CREATE TABLE", "SELECT * FROM"] {
            let answer = client.rows(&format!("{verb} {table}")).await;
            if may_read(table) {
                assert!(answer.is_ok(), "{verb} {table} of {role}: {answer:?}");
                continue;
            }
            let hidden = answer.unwrap_err();
            assert_eq!(hidden.code(), Code::NotFound, "{verb} {table} of {role}: {hidden}");
            // Its namespace is hidden too, or there is one to look into.
            let (namespace, name) = table.split_once('.').unwrap();
            let (absent, shown) = match namespace {
                "vault" => ("nowhere.hidden", "nowhere"),
                _ => ("open.zzzzzzzz", "zzzzzzzz"),
            };
            let absent = client.rows(&format!("{verb} {absent}")).await.unwrap_err();
            let renamed = if namespace == "vault" { namespace } else { name };
            assert_eq!(hidden.message(), absent.message().replace(shown, renamed));
            // Writing tells no more than reading.
            for sql in
                [format!("DELETE FROM {table}"), format!("INSERT INTO {table} (id) VALUES (1)")]
            {
                let refused = client.update(&sql).await.unwrap_err();
                assert_eq!(refused.code(), Code::NotFound, "{sql} of {role}: {refused}");
                // They name the table at another place.
                let said = |status: &Status| {
                    let message = status.message();
                    message.split(" (at line ").next().unwrap_or_default().to_owned()
                };
                assert_eq!(said(&refused), said(&hidden), "{sql} of {role}");
            }
        }
    }
}

fn has(rows: &[Row], column: usize, value: &str) -> bool {
    rows.iter().any(|row| row[column] == Value::from(value))
}

fn plain(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        other => panic!("a name, not {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_bound_what_statements_do() {
    let server = Server::start();
    let root = server.root().await;
    set_up_listings(&root).await;
    let user = create_user(&root, &server, "uma", "user").await;
    let service = create_user(&root, &server, "sam", "service").await;
    let dba = create_user(&root, &server, "dan", "dba").await;
    let statements: [(&str, bool, bool); 22] = [
        // What, whether a user may, whether a service may; a dba may all of it.
        ("INSERT INTO open.own VALUES (ID)", true, true),
        ("DELETE FROM open.own", true, true),
        ("INSERT INTO open.everyone VALUES (ID)", false, true),
        ("DELETE FROM open.everyone", false, true),
        ("INSERT INTO open.staff VALUES (ID)", false, true),
        ("DELETE FROM open.staff", false, true),
        ("INSERT INTO open.staff SELECT id FROM open.everyone", false, true),
        ("INSERT INTO open.own SELECT id FROM open.staff", false, true),
        ("DELETE FROM open.own WHERE id IN (SELECT id FROM open.staff)", false, true),
        ("DELETE FROM vault.staffonly", false, true),
        ("CREATE USER TABLE open.mine (id INT PRIMARY KEY)", true, true),
        ("CREATE TABLE open.ours (id INT PRIMARY KEY)", false, true),
        ("CREATE NAMESPACE more", false, false),
        ("DROP NAMESPACE IF EXISTS more", false, false),
        ("CREATE USER eve WITH PASSWORD 'long-enough-for-eve' ROLE user", false, false),
        ("ALTER USER eve ROLE user", false, false),
        ("DROP USER IF EXISTS eve", false, false),
        ("DROP TABLE open.everyone", false, false),
        ("DROP TABLE IF EXISTS open.mine", false, false),
        ("DROP TABLE open.staff", false, false),
        // What a user may not read is like what is not there.
        ("DROP TABLE IF EXISTS open.ours", true, true),
        ("DROP NAMESPACE vault CASCADE", false, false),
    ];
    for (sql, user_may, service_may) in statements {
        let attempts =
            [("user", &user, user_may), ("service", &service, service_may), ("dba", &dba, true)];
        for (id, (role, client, may)) in attempts.into_iter().enumerate() {
            let sql = &sql.replace("(ID)", &format!("({id})"));
            let answer = client.update(sql).await;
            match (may, &answer) {
                (true, Ok(_)) => {}
                // Several roles may create the same table: the later ones find it.
                (true, Err(status)) if status.code() == Code::AlreadyExists => {}
                (true, Err(status)) => panic!("{role}: {sql}: {status}"),
                (false, _) => assert_code(&format!("{role}: {sql}"), answer, &HIDDEN),
            }
        }
    }
    reads_and_uploads(&server, &root).await;
}

async fn reads_and_uploads(server: &Server, root: &Client) {
    root.update("CREATE TABLE open.closed (id INT PRIMARY KEY)").await.unwrap();
    let user = server.sign_in("uma", PASSWORD).await.unwrap();
    let service = server.sign_in("sam", PASSWORD).await.unwrap();
    for sql in [
        "SELECT * FROM open.closed",
        "SELECT count(*) FROM open.closed",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM open.closed)",
        "WITH c AS (SELECT * FROM open.closed) SELECT * FROM c",
        "EXPLAIN SELECT * FROM open.closed",
        "EXPLAIN ANALYZE SELECT * FROM open.closed",
    ] {
        assert_code(&format!("user: {sql}"), user.query(sql).await, &HIDDEN);
        let prepared = user.prepare(sql).await.map(drop);
        assert_code(&format!("user, prepared: {sql}"), prepared, &HIDDEN);
    }
    assert_code("user: drop", user.update("DROP TABLE open.closed").await, &[Code::NotFound]);
    user.update("DROP TABLE IF EXISTS open.closed").await.unwrap();
    service.query("SELECT * FROM open.closed").await.expect("it was not dropped");
    // The upload path knows the same rules.
    let ids = arrow::array::Int32Array::from(vec![1, 2]);
    let column: arrow::array::ArrayRef = std::sync::Arc::new(ids);
    let batch = arrow::array::RecordBatch::try_from_iter([("id", column)]).unwrap();
    let upload = user.append("open", "closed", vec![batch.clone()]).await;
    assert_code("user: upload", upload, &HIDDEN);
    let options = arrow_flight::sql::TableDefinitionOptions {
        if_not_exist: arrow_flight::sql::TableNotExistOption::Create.into(),
        if_exists: arrow_flight::sql::TableExistsOption::Replace.into(),
    };
    let replace = user.ingest(ingest_command("open", "closed", options), vec![batch.clone()]).await;
    assert_code("user: replace by upload", replace, &HIDDEN);
    assert_eq!(service.append("open", "closed", vec![batch]).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_users_take_effect_at_once() {
    let server = Server::start();
    let root = server.root().await;
    set_up_listings(&root).await;
    let client = create_user(&root, &server, "vic", "user").await;
    let read_staff = "SELECT * FROM open.staff";
    assert_code("before", client.query(read_staff).await, &HIDDEN);
    root.update("ALTER USER vic ROLE service").await.unwrap();
    client.query(read_staff).await.expect("the same token carries the new role");
    root.update("ALTER USER vic ROLE user").await.unwrap();
    assert_code("after", client.query(read_staff).await, &HIDDEN);

    root.update("ALTER USER vic PASSWORD 'another-password'").await.unwrap();
    let old = server.sign_in("vic", PASSWORD).await.map(drop);
    assert_code("the old password", old, &[Code::Unauthenticated]);
    // Whoever signed in with the old password is out, by token too, on this connection or another.
    assert_code("the old token", client.query("SELECT 1").await, &[Code::Unauthenticated]);
    let resumed = Client::resume(server.flight(), client.token()).await.unwrap();
    assert_code("the old token", resumed.query("SELECT 1").await, &[Code::Unauthenticated]);
    let shown = server.sign_in("token", client.token()).await.map(drop);
    assert_code("a handshake with the old token", shown, &[Code::Unauthenticated]);
    let client = server.sign_in("vic", "another-password").await.expect("the new password");
    // A password of one's own ends one's own tokens as well; others' stay good.
    client.update("ALTER USER vic PASSWORD 'a-third-password'").await.unwrap();
    assert_code("one's own token", client.query("SELECT 1").await, &[Code::Unauthenticated]);
    let client = server.sign_in("vic", "a-third-password").await.unwrap();
    root.query("SELECT 1").await.unwrap();

    client.update("INSERT INTO open.own VALUES (1)").await.unwrap();
    root.update("DROP USER vic").await.unwrap();
    assert_code("a dropped user", client.query("SELECT 1").await, &[Code::Unauthenticated]);
    let again = create_user(&root, &server, "vic", "user").await;
    let rows = again.rows("SELECT * FROM open.own").await.unwrap();
    assert_eq!(rows, Vec::<Row>::new(), "a new user of an old name finds the old one's rows");
    assert_code("the old token", client.query("SELECT 1").await, &[Code::Unauthenticated]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dropped_user_had_is_nobodys() {
    let mut server = Server::start();
    let root = server.root().await;
    root.update("CREATE USER TABLE default.notes (id INT PRIMARY KEY, body TEXT)").await.unwrap();
    root.update("CREATE USER TABLE default.lines (body TEXT)").await.unwrap();
    let old = create_user(&root, &server, "ida", "user").await;
    let other = create_user(&root, &server, "idas", "user").await;
    for client in [&old, &other] {
        client.update("INSERT INTO default.notes VALUES (1, 'kept'), (2, 'gone')").await.unwrap();
        assert_eq!(client.update("DELETE FROM default.notes WHERE id = 2").await.unwrap(), 1);
        client.update("INSERT INTO default.lines VALUES ('line')").await.unwrap();
    }
    root.update("DROP USER ida").await.unwrap();
    let late = old.update("INSERT INTO default.notes VALUES (3, 'late')").await;
    assert_code("an insert of a dropped user", late, &[Code::Unauthenticated]);
    // Not even a role above all others finds what the old user had.
    create_user(&root, &server, "ida", "dba").await;
    for killed in [false, true] {
        if killed {
            server.kill();
            server.restart();
        }
        let new = server.sign_in("ida", PASSWORD).await.unwrap();
        let other = server.sign_in("idas", PASSWORD).await.unwrap();
        for (sql, of_other) in [
            ("SELECT body FROM default.notes", "kept"),
            ("SELECT body FROM default.notes WHERE id = 1", "kept"),
            ("SELECT body FROM default.notes WHERE _deleted", "gone"),
            ("SELECT body FROM default.lines", "line"),
        ] {
            assert_eq!(bodies(&new, sql).await, [""; 0], "{sql}");
            assert_eq!(bodies(&other, sql).await, [of_other], "{sql}");
        }
    }
    // The old one's keys are free.
    let new = server.sign_in("ida", PASSWORD).await.unwrap();
    let insert = "INSERT INTO default.notes VALUES (1, 'new'), (2, 'new')";
    assert_eq!(new.update(insert).await.unwrap(), 2);
    assert_eq!(bodies(&new, "SELECT body FROM default.notes").await, ["new"; 2]);
}
