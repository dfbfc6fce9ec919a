(* T2: S bits of memory spare at most S bits' worth of attention.

   There is no entropy and no logarithm here. M is the set of contents of the memory, 2^S of them. For a pattern k that
   is served wrong with share x of its unattended queries, 2^(R_V) is a product of powers: an answer that is right
   counts V (1 - x), a wrong one V x/(V - 1), attention counts 1. The theorem is the inequality of T2 raised to the
   power of two, N times over, N the number of outcomes. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Memory.
Variables (R : realFieldType) (K V M Coins : finType).
Hypothesis V2 : (1 < #|V|)%N.
Hypothesis some_coin : (0 < #|Coins|)%N.
Local Notation table := {ffun K -> V}.
Local Notation outcome := (Coins * table)%type.

(* Coins hold all that is independent of the table: past queries, time, seed; each outcome is equally likely. *)
Variable memory : Coins -> table -> M.

(* A bet on the value of each pattern, of mean 1 over a uniform value; it may hang on coins and memory. *)
Section Bets.
Variable bet : Coins -> M -> K -> V -> R.
Hypothesis bet_ge0 : forall c m k y, 0 <= bet c m k y.
Hypothesis bet_mean : forall c m k, \sum_y bet c m k y = #|V|%:R.

Definition wealth (o : outcome) := \prod_k bet o.1 (memory o.1 o.2) k (o.2 k).

Lemma wealth_ge0 o : 0 <= wealth o.
Proof. exact: prodr_ge0. Qed.

Lemma outcomes_gt0 : (0 < #|{: outcome}|)%N.
Proof. by rewrite card_prod muln_gt0 some_coin card_ffun expn_gt0 (ltnW V2). Qed.

(* With fixed contents the bets multiply to mean 1, whatever they are; the memory is one of #|M| contents. *)
Lemma wealth_given_coins c :
  \sum_(v : table) \prod_k bet c (memory c v) k (v k) <= #|M|%:R * #|{: table}|%:R.
Proof.
apply: (@le_trans _ _ (\sum_(m : M) \sum_(v : table) \prod_k bet c m k (v k))).
  rewrite exchange_big /=; apply: ler_sum => v _; rewrite (bigD1 (memory c v)) //= ler_addl.
  by apply: sumr_ge0 => m _; apply: prodr_ge0.
rewrite (eq_bigr (fun=> #|{: table}|%:R)) ?sumr_const ?mulr_natl // => m _.
rewrite -(bigA_distr_bigA (fun k y => bet c m k y)) (eq_bigr (fun=> #|V|%:R)) //.
by rewrite prodr_const card_ffun natrX.
Qed.

Lemma mean_wealth : \sum_(o : outcome) wealth o <= #|M|%:R * #|{: outcome}|%:R.
Proof.
rewrite -(pair_bigA _ (fun c v => wealth (c, v))) /=.
apply: (@le_trans _ _ (\sum_(c : Coins) (#|M|%:R * #|{: table}|%:R))).
  by apply: ler_sum => c _; exact: wealth_given_coins.
by rewrite sumr_const card_prod natrM -mulr_natr -mulrA [_%:R * #|Coins|%:R]mulrC.
Qed.

(* Jensen's inequality, as that of the geometric and the arithmetic mean. *)
Lemma geometric_mean_wealth : \prod_(o : outcome) wealth o <= #|M|%:R ^+ #|{: outcome}|.
Proof.
have [+ _] := leif_AGM (A := {: outcome}) (E := wealth) (fun o _ => wealth_ge0 o) => /le_trans; apply.
apply: ler_expn2r; rewrite ?nnegrE ?ler0n //.
  by rewrite divr_ge0 ?ler0n //; apply: sumr_ge0 => o _; exact: wealth_ge0.
by rewrite ler_pdivr_mulr ?ltr0n ?outcomes_gt0 // mean_wealth.
Qed.

(* Markov's inequality: no memory of S bits makes the bets pay more than 2^S/b with chance above b. *)
Lemma rarely_rich (b : R) :
  0 < b -> #|[set o | #|M|%:R <= b * wealth o]|%:R <= b * #|{: outcome}|%:R.
Proof.
move=> b0; set A := [set _ | _].
have [no_content|m_gt0] := posnP #|M|.
  have [o _] : exists o, o \in {: outcome} by apply/card_gt0P; exact: outcomes_gt0.
  by move: (card0_eq no_content (memory o.1 o.2)); rewrite inE.
have mR : 0 < #|M|%:R :> R by rewrite ltr0n.
rewrite -(ler_pmul2l mR) [X in _ <= X]mulrCA; apply: (@le_trans _ _ (b * \sum_o wealth o)); last first.
  by rewrite ler_pmul2l // mean_wealth.
rewrite mulr_natr -sumr_const (big_mkcond (fun o => o \in A)) mulr_sumr; apply: ler_sum => o _; rewrite inE.
by case: ifP => // _; rewrite mulr_ge0 ?wealth_ge0 // ltW.
Qed.
End Bets.

(* A router with this memory: asked for k, it attends or outputs a guess. *)
Variables (attend : Coins -> M -> K -> bool) (guess : Coins -> M -> K -> V).

Definition served k (o : outcome) := ~~ attend o.1 (memory o.1 o.2) k.
Definition wrong k (o : outcome) := served k o && (guess o.1 (memory o.1 o.2) k != o.2 k).
Definition right k (o : outcome) := served k o && (guess o.1 (memory o.1 o.2) k == o.2 k).

(* Numbers of outcomes, N (1 - a_k - e_k) and N e_k in the notation of the statement. *)
Definition n_wrong k := #|[set o | wrong k o]|.
Definition n_right k := #|[set o | right k o]|.

(* The bet that a served answer is wrong with chance x. *)
Section Router.
Variable x : K -> R.
Hypothesis x01 : forall k, 0 <= x k <= 1.

Definition if_right k := #|V|%:R * (1 - x k).
Definition if_wrong k := #|V|%:R * x k / (#|V|%:R - 1).
Definition router_bet c m k y :=
  if attend c m k then 1 else if guess c m k == y then if_right k else if_wrong k.

Lemma V_pred_gt0 : 0 < #|V|%:R - 1 :> R.
Proof. by rewrite subr_gt0 ltr1n. Qed.

Lemma router_bet_ge0 c m k y : 0 <= router_bet c m k y.
Proof.
rewrite /router_bet; case: ifP => _; first exact: ler01.
have /andP[x0 x1] := x01 k; case: ifP => _; first by rewrite mulr_ge0 ?ler0n // subr_ge0.
by apply: divr_ge0; [apply: mulr_ge0; rewrite ?ler0n | exact: ltW V_pred_gt0].
Qed.

Lemma router_bet_mean c m k : \sum_y router_bet c m k y = #|V|%:R.
Proof.
rewrite /router_bet; case: (attend c m k); first by rewrite sumr_const.
rewrite (bigD1 (guess c m k)) //= eqxx (eq_bigr (fun=> if_wrong k)); last first.
  by move=> y; rewrite eq_sym => /negbTE ->.
rewrite sumr_const cardC1 -[if_wrong k *+ _]mulr_natr.
have -> : #|V|.-1%:R = #|V|%:R - 1 :> R by rewrite -subn1 natrB ?(ltnW V2).
by rewrite /if_wrong divfK ?gt_eqF ?V_pred_gt0 // /if_right mulrBr mulr1 subrK.
Qed.

(*| T2
   English: "averaging over z-history and R only decreases the sum (Jensen)"
   Python: "Σ_k R_V(a_k, e_k) ≤ S"
   Scope: the bound for any x in place of e/(1 − a); it is linear in the counts, so that means over histories and
   convexity come with it. *)
Theorem linear_bound : \prod_k (if_right k ^+ n_right k * if_wrong k ^+ n_wrong k) <= #|M|%:R ^+ #|{: outcome}|.
Proof.
apply: le_trans (geometric_mean_wealth router_bet_ge0 router_bet_mean).
rewrite /wealth exchange_big /= le_eqVlt; apply/orP; left; apply/eqP; apply: eq_bigr => k _.
rewrite /n_right /n_wrong -!prodr_const !(big_mkcond (fun o => o \in _)) -big_split /=; apply: eq_bigr => o _.
rewrite !inE /router_bet /right /wrong /served; case: (attend _ _ _) => /=; first by rewrite mulr1.
by case: (guess _ _ _ == _); rewrite /= ?mulr1 ?mul1r.
Qed.

(*| T12
   English: "P( Σ_k [R_k·log₂(V(1−x_k)) + U_k·log₂(V·x_k/(V−1))] ≥ S + log₂(1/b) ) ≤ b"
   Python: "P( Σ_k [R_k·log₂(V(1−x_k)) + U_k·log₂(V·x_k/(V−1))] ≥ S + log₂(1/b) ) ≤ b"
   Scope: 2 to the power of both sides; frozen contents, each pattern asked once from a copy; one table. *)
Theorem tail (b : R) : 0 < b ->
  #|[set o | #|M|%:R <= b * wealth router_bet o]|%:R <= b * #|{: outcome}|%:R.
Proof. exact: rarely_rich router_bet_ge0 router_bet_mean b. Qed.
End Router.

(* The share of wrong answers among those served. *)
Definition share k : R := (n_wrong k)%:R / (n_right k + n_wrong k)%N%:R.

(*| T2
   English: "Σ_k R_V(a_k, e_k) ≤ S"
   Python: "Σ_k R_V(a_k, e_k) ≤ S"
   Scope: 2 to the power of both sides, times N; coins equally likely. *)
Theorem memory_bound : \prod_k (if_right share k ^+ n_right k * if_wrong share k ^+ n_wrong k)
  <= #|M|%:R ^+ #|{: outcome}|.
Proof.
apply: linear_bound => k.
rewrite /share divr_ge0 ?ler0n //=; have [->|n0] := posnP (n_right k + n_wrong k).
  by rewrite invr0 mulr0 ler01.
by rewrite ler_pdivr_mulr ?ltr0n // mul1r ler_nat leq_addl.
Qed.
End Memory.

(* At zero error. *)
Section ZeroError.
Variables (K V M Coins : finType) (memory : Coins -> {ffun K -> V} -> M).
Variables (attend : Coins -> M -> K -> bool) (guess : Coins -> M -> K -> V).
Hypothesis V2 : (1 < #|V|)%N.
Hypothesis some_coin : (0 < #|Coins|)%N.
Hypothesis never_wrong : forall k, n_wrong memory attend guess k = 0%N.

(*| T2
   English: "(i) At e = 0 the theorem says Σ(1−a_k) ≤ S/log₂V"
   Python: "(i) At zero error α ≥ 1 − Q(S/log₂V)"
   Scope: Σ_k (1 − a_k) log₂V ≤ S; the knapsack over the p_k is left to prose. *)
Corollary zero_error : (#|V| ^ (\sum_k n_right memory attend guess k) <= #|M| ^ #|{: Coins * {ffun K -> V}}|)%N.
Proof.
have x01 (k : K) : (0 <= 0 :> rat) && (0 <= 1 :> rat) by rewrite lexx ler01.
have := linear_bound V2 some_coin memory attend guess x01.
rewrite -natrX (eq_bigr (fun k => (#|V| ^ n_right memory attend guess k)%N%:R)); last first.
  by move=> k _; rewrite never_wrong expr0 mulr1 /if_right subr0 mulr1 natrX.
by rewrite -natr_prod -expn_sum ler_nat.
Qed.
End ZeroError.
