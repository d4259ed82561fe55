create table identities (
  user_id blob not null,
  issuer text not null,
  subject text not null,
  created_at integer not null,
  token_issued_at integer,
  revoked_before integer,
  constraint pk_identities primary key (user_id, issuer, subject),
  constraint uq_identities_subject unique (issuer, subject),
  constraint fk_identities_user_id foreign key (user_id) references users (id) on delete cascade
) strict, without rowid;
