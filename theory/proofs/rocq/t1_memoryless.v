(* T1: without memory, attention and errors trade one for one.

   A finite probability space holds all that is random: values, queries, noise, coins. At step t the router knows W t,
   its coins included; it decides and guesses from that. *)
From mathcomp Require Import all_ssreflect all_algebra.
From Cogfit Require Import finite.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Router.
Variables (R : realFieldType) (Omega Know : finType) (P : Omega -> R) (V n : nat).
Variables (query : 'I_n -> pred Omega) (value : 'I_n -> Omega -> 'I_V) (W : 'I_n -> Omega -> Know).
Variables (attend : 'I_n -> Know -> bool) (guess : 'I_n -> Know -> 'I_V).

(* The class MEMORYLESS: given what the router knows, the value asked for is uniform. *)
Definition memoryless := forall t k y,
  prob P (fun w => [&& query t w, W t w == k & value t w == y]) * V%:R = prob P (fun w => query t w && (W t w == k)).

Definition attends t w := query t w && attend t (W t w).
Definition errs t w := [&& query t w, ~~ attend t (W t w) & guess t (W t w) != value t w].

(* Expected numbers of queries, of attended queries and of wrong answers. *)
Definition queries := expect P (fun w => (\sum_t query t w)%N%:R).
Definition attention := expect P (fun w => (\sum_t attends t w)%N%:R).
Definition errors := expect P (fun w => (\sum_t errs t w)%N%:R).

Hypothesis V2 : (1 < V)%N.
Hypothesis uniform : memoryless.

Lemma V_pred_gt0 : 0 < V%:R - 1 :> R.
Proof. by rewrite subr_gt0 (ltr_nat R 1). Qed.

(* At one step, given knowledge k: attended is V - 1, unattended errs with probability (V - 1)/V. *)
Lemma trade_given t k :
  prob P (fun w => attends t w && (W t w == k)) * (V%:R - 1) + V%:R * prob P (fun w => errs t w && (W t w == k))
  = prob P (fun w => query t w && (W t w == k)) * (V%:R - 1).
Proof.
case a: (attend t k).
- have -> : prob P (fun w => errs t w && (W t w == k)) = 0.
    apply: big_pred0 => w; rewrite /errs; case: (W t w =P k) => [->|_]; last by rewrite andbF.
    by rewrite a /= andbF.
  rewrite mulr0 addr0; congr (_ * _); apply: eq_bigl => w; rewrite /attends.
  by case: (W t w =P k) => [->|_]; rewrite ?andbF // a !andbT.
- have -> : prob P (fun w => attends t w && (W t w == k)) = 0.
    apply: big_pred0 => w; rewrite /attends; case: (W t w =P k) => [->|_]; last by rewrite andbF.
    by rewrite a andbF.
  have -> : prob P (fun w => errs t w && (W t w == k))
          = prob P (fun w => (query t w && (W t w == k)) && ~~ (value t w == guess t k)).
    apply: eq_bigl => w; rewrite /errs; case: (W t w =P k) => [->|_]; last by rewrite !andbF.
    by rewrite a /= !andbT eq_sym.
  have := uniform t k (guess t k).
  rewrite (prob_split P (fun w => query t w && (W t w == k)) (fun w => value t w == guess t k)).
  have -> : prob P (fun w => (query t w && (W t w == k)) && (value t w == guess t k))
          = prob P (fun w => [&& query t w, W t w == k & value t w == guess t k]).
    by apply: eq_bigl => w; rewrite andbA.
  set p := prob _ _; set q := prob _ _ => h.
  have -> : V%:R * q = V%:R * (p + q) - p * V%:R by rewrite mulrDr [p * _]mulrC addrAC subrr add0r.
  by rewrite mul0r add0r h mulrBr mulr1 [_ * V%:R]mulrC.
Qed.

Lemma trade_step t : prob P (attends t) * (V%:R - 1) + V%:R * prob P (errs t) = prob P (query t) * (V%:R - 1).
Proof.
rewrite (prob_partition P (W t) (query t)) (prob_partition P (W t) (attends t)) (prob_partition P (W t) (errs t)).
by rewrite mulr_sumr !mulr_suml -big_split /=; apply: eq_bigr => k _; exact: trade_given.
Qed.

(*| T1
   English: "every router, static or not, satisfies E[Att] = E[N] − V/(V−1)·E[Err]"
   Python: "for every router, static or not, E[Att] = E[N] − V/(V−1)·E[Err]"
   Scope: any finite probability space; coins and noise are part of what the router knows. *)
Theorem trade : attention = queries - V%:R / (V%:R - 1) * errors.
Proof.
have v1 : V%:R - 1 != 0 :> R by rewrite gt_eqF ?V_pred_gt0.
apply: (mulIf v1); rewrite mulrBl mulrAC -[_ / _ * _]mulrA mulVf // mulr1.
apply/eqP; rewrite eq_sym subr_eq eq_sym /attention /queries /errors !expect_count.
by rewrite mulr_sumr !mulr_suml -big_split /=; apply/eqP/eq_bigr => t _; rewrite trade_step.
Qed.

(*| T1
   English: "E[Err] ≤ δfn implies E[Att] ≥ fn(1 − δV/(V−1))"
   Python: "E[Att] ≥ fn(1 − δV/(V−1))"
   Scope: fn is the expected number of queries. *)
Corollary least_attention (delta : R) :
  errors <= delta * queries -> queries * (1 - delta * V%:R / (V%:R - 1)) <= attention.
Proof.
move=> few; rewrite trade mulrBr mulr1 ler_add2l ler_opp2 -[delta * _ / _]mulrA mulrCA [queries * _]mulrC mulrCA.
by rewrite ler_wpmul2l // divr_ge0 ?ler0n // ltW ?V_pred_gt0.
Qed.
End Router.

(* The router that throws a coin: with probability 1 - delta V/(V - 1) it attends, else it guesses. *)
Section Attained.
Variables (R : realFieldType) (Omega Know : finType) (P : Omega -> R) (V n : nat).
Variables (query : 'I_n -> pred Omega) (value : 'I_n -> Omega -> 'I_V) (W : 'I_n -> Omega -> Know).
Hypothesis V2 : (1 < V)%N.
Hypothesis uniform : memoryless P query value W.
Variables (delta : R) (guess : 'I_n -> Know * bool -> 'I_V).

Definition rate := 1 - delta * V%:R / (V%:R - 1).
Definition P_coin := both P (coin rate).
Definition query_coin t (o : Omega * bool) := query t o.1.
Definition value_coin t (o : Omega * bool) := value t o.1.
Definition W_coin t (o : Omega * bool) := (W t o.1, o.2).
Definition attend_coin (t : 'I_n) (k : Know * bool) := k.2.

Hypothesis law : is_law P.
Hypothesis delta_range : 0 <= delta <= 1 - V%:R^-1.

Lemma prob_both (Q : bool -> R) (A : pred Omega) side :
  prob (both P Q) (fun o => A o.1 && (o.2 == side)) = prob P A * Q side.
Proof.
rewrite !prob_indicator expect_both mulrC -expectZ; apply: eq_expect => w.
rewrite /expect (bigD1 side) //= eqxx andbT big1 ?addr0 // => c /negbTE ->.
by rewrite andbF mulr0.
Qed.

Lemma coin_is_memoryless : memoryless P_coin query_coin value_coin W_coin.
Proof.
move=> t [k side] y.
have -> : prob P_coin (fun o => [&& query_coin t o, W_coin t o == (k, side) & value_coin t o == y])
        = prob P (fun w => [&& query t w, W t w == k & value t w == y]) * coin rate side.
  by rewrite -prob_both; apply: eq_bigl => -[w c]; rewrite /= xpair_eqE -!andbA [(c == _) && _]andbC.
have -> : prob P_coin (fun o => query_coin t o && (W_coin t o == (k, side)))
        = prob P (fun w => query t w && (W t w == k)) * coin rate side.
  by rewrite -prob_both; apply: eq_bigl => -[w c]; rewrite /= xpair_eqE -!andbA.
by rewrite mulrAC uniform.
Qed.

Lemma rate_range : 0 <= rate <= 1.
Proof.
case/andP: delta_range => d0 d1.
have v1 := V_pred_gt0 R V2; have v0 : 0 < V%:R :> R by rewrite ltr0n ltnW.
rewrite /rate subr_ge0 ler_subl_addr ler_addl divr_ge0 ?mulr_ge0 ?ler0n ?(ltW v1) // andbT.
rewrite ler_pdivr_mulr // mul1r.
have -> : V%:R - 1 = (1 - V%:R^-1) * V%:R :> R by rewrite mulrBl mul1r mulVf ?gt_eqF.
by rewrite ler_pmul2r.
Qed.

Lemma queries_coin : queries P_coin query_coin = queries P query.
Proof.
rewrite /queries expect_both; apply: eq_expect => w.
by rewrite -[RHS](expect_const (coin_law rate_range)).
Qed.

Lemma attention_coin : attention P_coin query_coin W_coin attend_coin = rate * queries P query.
Proof.
rewrite /attention /queries !expect_count mulr_sumr; apply: eq_bigr => t _.
rewrite -[rate]/(coin rate true) mulrC -prob_both; apply: eq_bigl => -[w c].
by rewrite /attends /attend_coin /= eqb_id.
Qed.

(*| T1
   English: "this is attained for every δ ∈ [0, 1 − 1/V]"
   Python: "attained for every δ in [0, 1 − 1/V] by attending with probability 1 − δV/(V−1) and guessing otherwise"
   Scope: one coin for the whole stream, whatever the guesses. *)
Theorem attained :
  attention P_coin query_coin W_coin attend_coin = queries P_coin query_coin * (1 - delta * V%:R / (V%:R - 1))
  /\ errors P_coin query_coin value_coin W_coin attend_coin guess = delta * queries P_coin query_coin.
Proof.
have v1 := V_pred_gt0 R V2; have v0 : 0 < V%:R :> R by rewrite ltr0n ltnW.
have := trade attend_coin guess V2 coin_is_memoryless.
rewrite attention_coin queries_coin; set E := errors _ _ _ _ _ _; set Q := queries _ _ => paid.
split; first by rewrite mulrC.
have c0 : V%:R / (V%:R - 1) != 0 :> R by rewrite mulf_neq0 ?invr_eq0 ?gt_eqF.
apply: (mulfI c0); have -> : V%:R / (V%:R - 1) * E = Q - rate * Q by rewrite paid opprB addrCA subrr addr0.
by rewrite /rate mulrBl mul1r opprB addrCA subrr addr0 -[delta * _ / _]mulrA [delta * _]mulrC -mulrA.
Qed.
End Attained.
