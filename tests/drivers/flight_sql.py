"""Flight SQL spoken by hand over a raw pyarrow FlightClient.

pyarrow has no Flight SQL client of its own, and the point of these tests is to see the messages
as they travel. The few protobuf messages needed are written and read field by field; field
numbers are those of FlightSql.proto.
"""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.flight as flight

from server import ROOT_PASSWORD, Server

_TYPE_PREFIX = "type.googleapis.com/arrow.flight.protocol.sql."
_VARINT, _BYTES = 0, 2
CALL_SECONDS_MAX = 120


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(*fields: tuple[int, bytes | str | int | bool | None]) -> bytes:
    """A protobuf message of (field number, value) pairs; None leaves a field out."""
    out = b""
    for number, value in fields:
        if value is None:
            continue
        if isinstance(value, int):
            out += _varint(number << 3 | _VARINT) + _varint(int(value))
            continue
        data = value.encode() if isinstance(value, str) else value
        out += _varint(number << 3 | _BYTES) + _varint(len(data)) + data
    return out


def fields_of(data: bytes) -> dict[int, bytes | int]:
    """The fields of a protobuf message; of a repeated one the last value."""
    found: dict[int, bytes | int] = {}
    position = 0

    def varint() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while position < len(data):
        key = varint()
        if key & 7 == _VARINT:
            found[key >> 3] = varint()
        elif key & 7 == _BYTES:
            length = varint()
            found[key >> 3] = data[position : position + length]
            position += length
        else:
            raise AssertionError(f"unexpected wire type {key & 7}")
    return found


def command(name: str, *fields) -> bytes:
    """A Flight SQL command packed into the Any every command travels in."""
    return message((1, _TYPE_PREFIX + name), (2, message(*fields)))


def signed(value: int) -> int:
    """An int64 field as the signed number it is."""
    return value - (1 << 64) if value >= 1 << 63 else value


class Prepared(NamedTuple):
    """The answer to CreatePreparedStatement, as it travelled."""

    handle: bytes
    dataset_schema: bytes
    parameter_schema: bytes
    is_update: bool | None


class RawClient:
    """Flight SQL calls on one FlightClient with a bearer token."""

    def __init__(self, server: Server, user: str = "root", password: str = ROOT_PASSWORD):
        self.client, self.options = server.flight(user, password, CALL_SECONDS_MAX)

    def close(self) -> None:
        """Closes the connection."""
        self.client.close()

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def info(self, cmd: bytes) -> flight.FlightInfo:
        """GetFlightInfo for a command."""
        return self.client.get_flight_info(
            flight.FlightDescriptor.for_command(cmd), options=self.options
        )

    def schema(self, cmd: bytes) -> pa.Schema:
        """GetSchema for a command."""
        descriptor = flight.FlightDescriptor.for_command(cmd)
        return self.client.get_schema(descriptor, options=self.options).schema

    def reader(self, info: flight.FlightInfo) -> flight.FlightStreamReader:
        """DoGet for the only endpoint of an info."""
        assert len(info.endpoints) == 1, f"{len(info.endpoints)} endpoints"
        return self.client.do_get(info.endpoints[0].ticket, options=self.options)

    def query(self, sql: str) -> pa.Table:
        """A statement's rows: GetFlightInfo, then DoGet."""
        return self.reader(self.info(statement(sql))).read_all()

    def update(self, sql: str, batches: list[pa.RecordBatch] | None = None) -> int:
        """CommandStatementUpdate; returns the rows affected."""
        return self.put(command("CommandStatementUpdate", (1, sql)), pa.schema([]), batches)

    def put(
        self, cmd: bytes, schema: pa.Schema, batches: list[pa.RecordBatch] | None = None
    ) -> int:
        """DoPut of a command that answers with a row count. Without parameters it reads the
        answer before it half-closes, as the C++ and Java clients do; with some, after it."""
        descriptor = flight.FlightDescriptor.for_command(cmd)
        writer, answers = self.client.do_put(descriptor, schema, options=self.options)
        for batch in batches or []:
            writer.write_batch(batch)
        if len(schema):
            writer.done_writing()
        answer = answers.read()
        writer.close()
        assert answer is not None, "no PutResult"
        return signed(fields_of(answer.to_pybytes()).get(1, 0))

    def bind(self, handle: bytes, parameters: pa.RecordBatch) -> None:
        """Binds rows to a prepared query."""
        descriptor = flight.FlightDescriptor.for_command(
            command("CommandPreparedStatementQuery", (1, handle))
        )
        writer, answers = self.client.do_put(descriptor, parameters.schema, options=self.options)
        writer.write_batch(parameters)
        writer.done_writing()
        answers.read()
        writer.close()

    def prepare(self, sql: str) -> Prepared:
        """CreatePreparedStatement."""
        body = command("ActionCreatePreparedStatementRequest", (1, sql))
        action = flight.Action("CreatePreparedStatement", body)
        (result,) = self.client.do_action(action, options=self.options)
        answer = fields_of(fields_of(result.body.to_pybytes())[2])
        return Prepared(
            answer[1],
            answer.get(2, b""),
            answer.get(3, b""),
            bool(answer[4]) if 4 in answer else None,
        )

    def close_prepared(self, handle: bytes) -> None:
        """ClosePreparedStatement."""
        body = command("ActionClosePreparedStatementRequest", (1, handle))
        list(
            self.client.do_action(
                flight.Action("ClosePreparedStatement", body), options=self.options
            )
        )


def statement(sql: str) -> bytes:
    """CommandStatementQuery."""
    return command("CommandStatementQuery", (1, sql))


def read_schema(data: bytes) -> pa.Schema:
    """A schema as Flight SQL carries it inside a message: encapsulated IPC."""
    return pa.ipc.read_schema(pa.py_buffer(data))
