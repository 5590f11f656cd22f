CREATE TYPE mood AS ENUM ('sad','ok');
CREATE TABLE t (id int PRIMARY KEY, a int, b text, c text NOT NULL, CONSTRAINT a_pos CHECK (a > 0), CONSTRAINT b_len CHECK (length(b) < 10));
CREATE INDEX t_a ON t (a); CREATE INDEX t_b ON t (b) WHERE a > 1;
CREATE TABLE one (id int PRIMARY KEY, x text); CREATE TABLE two (id int PRIMARY KEY, y int, one_id int REFERENCES one (id));
CREATE TABLE p (id int PRIMARY KEY, v varchar(30), m mood DEFAULT 'ok' CHECK (m <> 'sad'));
CREATE INDEX p_v ON p (v) WHERE v <> '';
CREATE VIEW pv AS SELECT id, v FROM p;
CREATE TABLE a (id int PRIMARY KEY, k int); CREATE TABLE b (id int PRIMARY KEY, l text);
INSERT INTO t VALUES (1, 5, 'x', 'y'); INSERT INTO one VALUES (1,'o'); INSERT INTO two VALUES (1, 2, 1); INSERT INTO p VALUES (1, 'abc', 'ok'); INSERT INTO a VALUES (1,2); INSERT INTO b VALUES (1,'l');
