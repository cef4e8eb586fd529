// AppSync's own rules for resolvers, the stricter set. infra/tools/check-resolver.sh runs it.
import appsync from '@aws-appsync/eslint-plugin';
import parser from '@typescript-eslint/parser';

export default [
  {
    files: ['resolver.js', 'live.js'],
    languageOptions: { parser, parserOptions: { project: './tsconfig.json' } },
  },
  appsync.configs.recommended,
];
