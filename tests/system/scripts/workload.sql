-- A mixed workload on a file: bulk insert, indices, updates, deletes, a rollback, joins, triggers, WAL and vacuum.
PRAGMA journal_mode=DELETE;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT NOT NULL, price REAL, n INT CHECK (n >= 0));
CREATE TABLE log(id INTEGER PRIMARY KEY, item INT REFERENCES item(id), what TEXT);
CREATE INDEX by_name ON item(name); CREATE INDEX by_n ON item(n, price);
CREATE TRIGGER noted AFTER UPDATE ON item BEGIN INSERT INTO log(item, what) VALUES (new.id, old.n || '>' || new.n); END;
BEGIN;
WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 3000)
INSERT INTO item SELECT i, printf('name-%05d', (i * 7919) % 10007), (i % 97) * 1.25, i % 13 FROM k;
COMMIT;
SELECT count(*), sum(n), round(sum(price), 2), min(name), max(name) FROM item;
BEGIN; UPDATE item SET n = n + 1 WHERE id % 7 = 0; COMMIT;
BEGIN; DELETE FROM item WHERE id % 10 = 3; ROLLBACK;
DELETE FROM item WHERE id % 11 = 5;
SELECT count(*), sum(n) FROM item; SELECT count(*), max(what) FROM log;
PRAGMA journal_mode=WAL;
BEGIN; INSERT INTO item(name, price, n) SELECT name || '-copy', price * 2, n FROM item WHERE id <= 500; COMMIT;
UPDATE item SET price = price + 1 WHERE name LIKE 'name-000%';
SELECT n, count(*), round(avg(price), 3) FROM item GROUP BY n ORDER BY n;
SELECT i.name, l.what FROM item i JOIN log l ON l.item = i.id WHERE i.id BETWEEN 70 AND 140 ORDER BY i.id;
INSERT INTO item(name, n) VALUES ('bad', -1);
PRAGMA wal_checkpoint(TRUNCATE);
CREATE VIRTUAL TABLE words USING fts5(body);
INSERT INTO words SELECT name || ' is item ' || id FROM item;
SELECT count(*) FROM words WHERE words MATCH 'copy'; SELECT json_group_array(n) FROM (SELECT DISTINCT n FROM item ORDER BY n);
VACUUM;
PRAGMA integrity_check;
