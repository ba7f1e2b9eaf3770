"""Who may come in, by which door, and for how long."""

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow.flight as flight
import pytest
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import AdbcStatusCode as Code
from adbc_driver_manager import Error

from flight_sql import RawClient, statement

PASSWORD = "a long password"


@pytest.fixture
def guest(cursor, namespace):
    """A user whose password may be got wrong without locking out anybody else."""
    cursor.execute(f"CREATE USER guest_{namespace} WITH PASSWORD '{PASSWORD}' ROLE user")
    return f"guest_{namespace}"


def asks_who_it_is(connection) -> None:
    """A signed-in client gets answers."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 AS one")
        assert cursor.fetchall() == [(1,)]


def token_of(server, user: str) -> str:
    """A bearer token for a user."""
    with flight.FlightClient(server.uri) as client:
        name, value = client.authenticate_basic_token(user, PASSWORD)
    assert name == b"authorization" and value.startswith(b"Bearer ")
    return value.decode().removeprefix("Bearer ")


def test_adbc_with_user_and_password(shared_server, guest):
    asks_who_it_is(shared_server.adbc(guest, PASSWORD))


def test_adbc_with_a_bearer_token(shared_server, guest):
    header = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token_of(shared_server, guest)}"
    }
    asks_who_it_is(flightsql.connect(shared_server.uri, db_kwargs=header, autocommit=True))


def test_a_token_given_as_password_of_the_user_token(shared_server, guest):
    """For tools that have fields for a user and a password and for nothing else."""
    asks_who_it_is(shared_server.adbc("token", token_of(shared_server, guest)))


class _OldHandshake(flight.ClientAuthHandler):
    """The handshake of pyarrow before headers: a BasicAuth message, then a token of its own."""

    def __init__(self, user: str):
        super().__init__()
        self.user = user
        self.token = b""

    def authenticate(self, outgoing, incoming):
        outgoing.write(flight.BasicAuth(self.user, PASSWORD).serialize())
        self.token = incoming.read()

    def get_token(self):
        return self.token


def test_pyarrow_with_the_old_handshake(shared_server, guest):
    with flight.FlightClient(shared_server.uri) as client:
        client.authenticate(_OldHandshake(guest))
        info = client.get_flight_info(
            flight.FlightDescriptor.for_command(statement("SELECT 1 AS x"))
        )
        assert client.do_get(info.endpoints[0].ticket).read_all().to_pydict() == {"x": [1]}


def test_a_ticket_is_of_use_to_nobody_else(shared_server, guest):
    """A ticket names what to read; who reads it still has to sign in, as the same user."""
    root, options = shared_server.flight()
    with root, flight.FlightClient(shared_server.uri) as other:
        descriptor = flight.FlightDescriptor.for_command(statement("SELECT 1 AS x"))
        ticket = root.get_flight_info(descriptor, options).endpoints[0].ticket
        with pytest.raises(flight.FlightUnauthenticatedError):
            other.do_get(ticket).read_all()
        token = other.authenticate_basic_token(guest, PASSWORD)
        with pytest.raises((flight.FlightUnauthorizedError, KeyError)):
            other.do_get(ticket, flight.FlightCallOptions(headers=[token])).read_all()


@pytest.mark.parametrize("password", ["wrong", "", "A long password", "a long password "])
def test_adbc_with_a_wrong_password_is_unauthenticated(shared_server, guest, password):
    for user in (guest, "nobody"):
        with pytest.raises(Error) as raised:
            with shared_server.adbc(user, password) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        assert raised.value.status_code == Code.UNAUTHENTICATED, raised.value


def test_flight_without_or_with_a_broken_token_is_unauthenticated(shared_server, guest):
    client = flight.FlightClient(shared_server.uri)
    descriptor = flight.FlightDescriptor.for_command(statement("SELECT 1"))
    token = client.authenticate_basic_token(guest, PASSWORD)[1]
    for headers in ([], [(b"authorization", b"Bearer nonsense")], [(b"authorization", token[:-2])]):
        with pytest.raises(flight.FlightUnauthenticatedError):
            client.get_flight_info(descriptor, flight.FlightCallOptions(headers=headers))
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.authenticate_basic_token(guest, "wrong")
    client.close()


def test_what_a_role_may_not_do_is_permission_denied(shared_server, cursor, namespace):
    cursor.execute(f"CREATE USER plain_{namespace} WITH PASSWORD '{PASSWORD}' ROLE user")
    with shared_server.adbc(f"plain_{namespace}", PASSWORD) as other:
        with other.cursor() as limited:
            for sql in (
                "CREATE NAMESPACE mine",
                f"CREATE USER someone WITH PASSWORD '{PASSWORD}' ROLE system",
                f"DROP NAMESPACE {namespace} CASCADE",
            ):
                with pytest.raises(Error) as raised:
                    limited.execute(sql)
                assert raised.value.status_code == Code.UNAUTHORIZED, f"{sql}: {raised.value}"
    cursor.execute("SHOW NAMESPACES")
    assert namespace in str(cursor.fetchall())


def test_a_dropped_or_changed_user_is_out(shared_server, cursor, namespace):
    name = f"eve_{namespace}"
    cursor.execute(f"CREATE USER {name} WITH PASSWORD 'the first password' ROLE user")
    with RawClient(shared_server, name, "the first password") as eve:
        cursor.execute(f"ALTER USER {name} WITH PASSWORD 'the second password'")
        with pytest.raises(flight.FlightUnauthenticatedError):
            shared_server.flight(name, "the first password")
        with pytest.raises(flight.FlightUnauthenticatedError):
            eve.query("SELECT 1")
    with RawClient(shared_server, name, "the second password") as eve:
        assert eve.query("SELECT 1 AS x")["x"].to_pylist() == [1]
        cursor.execute(f"DROP USER {name}")
        with pytest.raises(flight.FlightUnauthenticatedError):
            eve.query("SELECT 1")
        cursor.execute(f"CREATE USER {name} WITH PASSWORD 'the first password' ROLE user")
        with pytest.raises(flight.FlightUnauthenticatedError):
            eve.query("SELECT 1")


@pytest.mark.parametrize("changed_by", ["itself", "root"])
def test_closing_what_an_ended_token_opened_is_no_error(
    shared_server, cursor, guest, changed_by
):
    change = f"ALTER USER {guest} PASSWORD 'another long password'"
    connection = shared_server.adbc(guest, PASSWORD)
    opened = connection.cursor()
    opened.execute("SELECT 1 AS one")
    assert opened.fetchall() == [(1,)]
    if changed_by == "itself":
        opened.execute(change)
    else:
        opened.adbc_prepare("SELECT 1 AS one")
        cursor.execute(change)
    opened.close()
    with pytest.raises(Error) as raised, connection.cursor() as late:
        late.execute("SELECT 1")
    assert raised.value.status_code == Code.UNAUTHENTICATED, raised.value
    connection.close()
    asks_who_it_is(shared_server.adbc(guest, "another long password"))
