-- What `obsbus archive` and Telegraf (telegraf.conf) write into, and grafana.json reads from.
-- It may be run again and again: it changes nothing that is there.
--
-- `fields` has one level: the keys of a state or an event, nested ones joined by "_", without those
-- that are null. So an instrument that is added tomorrow needs no change here.

CREATE SCHEMA IF NOT EXISTS obsbus;

CREATE TABLE IF NOT EXISTS obsbus.state (
    time timestamptz NOT NULL,
    site text NOT NULL,
    device text NOT NULL,
    fields jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS state_of_device ON obsbus.state (site, device, time);
CREATE INDEX IF NOT EXISTS state_by_time ON obsbus.state USING brin (time);

CREATE TABLE IF NOT EXISTS obsbus.event (
    time timestamptz NOT NULL,
    site text NOT NULL,
    device text NOT NULL,
    fields jsonb NOT NULL
);
CREATE INDEX IF NOT EXISTS event_of_device ON obsbus.event (site, device, time);

-- One row for each value: the easiest to ask. A number, a word and a flag have columns of their own.
CREATE OR REPLACE VIEW obsbus.reading AS
SELECT
    state.time,
    state.site,
    state.device,
    field.key,
    CASE WHEN jsonb_typeof(field.value) = 'number' THEN (field.value #>> '{}')::double precision END AS number,
    CASE WHEN jsonb_typeof(field.value) = 'string' THEN field.value #>> '{}' END AS word,
    CASE WHEN jsonb_typeof(field.value) = 'boolean' THEN (field.value #>> '{}')::boolean END AS flag
FROM obsbus.state, jsonb_each(state.fields) AS field;
