CREATE TABLE users (email text PRIMARY KEY, password text NOT NULL);
CREATE TABLE items (id serial PRIMARY KEY, owner text NOT NULL REFERENCES users, title text NOT NULL);
