create table identities (
  user_id uuid not null,
  issuer text collate "C" not null,
  subject text collate "C" not null,
  created_at timestamptz not null,
  token_issued_at timestamptz,
  revoked_before timestamptz,
  constraint pk_identities primary key (user_id, issuer, subject),
  constraint uq_identities_subject unique (issuer, subject),
  constraint fk_identities_user_id foreign key (user_id) references users (id) on delete cascade
);
