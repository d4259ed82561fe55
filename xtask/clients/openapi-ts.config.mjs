// As Node.js imports files of its own kind: with their endings.
export default {
  input: process.env.DESCRIPTION,
  output: { path: "chatstore-client", module: { extension: ".js" } },
};
