-- A small chat: what everybody sees stands in SHARED tables, what belongs to one user in a USER
-- table, whose rows no one else ever gets. `make run` loads it where there is no namespace `chat`.

CREATE NAMESPACE chat;

CREATE SHARED TABLE chat.rooms (
  room_id     TEXT NOT NULL PRIMARY KEY,
  topic       TEXT,
  created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (ACCESS_LEVEL = 'public');

-- Rows are kept in the order of the key, so a room's latest messages are one short reverse scan.
CREATE SHARED TABLE chat.messages (
  room_id     TEXT NOT NULL,
  message_id  BIGINT NOT NULL,
  author      TEXT NOT NULL,
  body        TEXT NOT NULL,
  sent_at     TIMESTAMPTZ NOT NULL,
  reply_to    BIGINT,
  PRIMARY KEY (room_id, message_id)
) WITH (ACCESS_LEVEL = 'public');

CREATE USER TABLE chat.drafts (
  draft_id    BIGINT NOT NULL PRIMARY KEY,
  room_id     TEXT NOT NULL,
  body        TEXT,
  pinned      BOOLEAN NOT NULL DEFAULT false
);

INSERT INTO chat.rooms (room_id, topic) VALUES
  ('general', 'Everything that has no room of its own'),
  ('release', 'What ships, and when'),
  ('random', NULL);

INSERT INTO chat.messages (room_id, message_id, author, body, sent_at, reply_to) VALUES
  ('general', 1, 'amira', 'Good morning!',                      '2026-01-12 08:00:00Z', NULL),
  ('general', 2, 'jonas', 'Morning. Coffee is ready.',          '2026-01-12 08:01:30Z', 1),
  ('general', 3, 'mei',   'おはよう ☕',                         '2026-01-12 08:02:10Z', 1),
  ('release', 1, 'jonas', 'Shall we tag today?',                '2026-01-12 09:15:00Z', NULL),
  ('release', 2, 'amira', 'Two tests still fail on arm64.',     '2026-01-12 09:16:45Z', 1),
  ('release', 3, 'mei',   'Fixed, the second was a time zone.', '2026-01-12 10:40:00Z', 2),
  ('release', 4, 'jonas', 'Then this afternoon it is.',         '2026-01-12 10:41:20Z', 3),
  ('random',  1, 'amira', 'Who left a cactus on my desk?',      '2026-01-12 11:05:00Z', NULL);

INSERT INTO chat.drafts (draft_id, room_id, body, pinned) VALUES
  (1, 'release', 'Notes for the announcement', true),
  (2, 'random',  NULL, false);
