CREATE TABLE ev (id int NOT NULL, at date NOT NULL, role text);
INSERT INTO ev VALUES (1, '2020-02-02', 'x');
CREATE INDEX ev_role ON ev (role);
CREATE TABLE a (id int PRIMARY KEY, role text); CREATE TABLE b (id int PRIMARY KEY, n int);
CREATE VIEW j AS SELECT id, role, n FROM a JOIN b USING (id);
CREATE VIEW j2 AS SELECT a.*, (a).role AS r2, x.role AS r3 FROM a, LATERAL (SELECT a.role) x WHERE a.role IN (SELECT role FROM ev) ORDER BY role;
CREATE TABLE par (id int, k text); CREATE TABLE kid (z int) INHERITS (par); CREATE INDEX kid_k ON kid (k);
ALTER TABLE par ADD CONSTRAINT kk CHECK (k <> '');
INSERT INTO a VALUES (1,'x'); INSERT INTO b VALUES (1,2); INSERT INTO kid VALUES (1,'k',3);
